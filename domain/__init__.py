"""The words everybody uses: the turn, its parts, the ports, the errors, the settings. No I/O."""
