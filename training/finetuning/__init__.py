"""What fine-tuning is made of: rows, twins, split, figures and gate without torch; the rest with it."""
