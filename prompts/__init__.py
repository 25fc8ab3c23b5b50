"""What is said to a model (the library of prompts) and what is said without one (the replies)."""

from prompts.cases import PromptCase
from prompts.registry import DONT_KNOW, Prompt, PromptLibrary
from prompts.replies import Replies

__all__ = ["DONT_KNOW", "Prompt", "PromptCase", "PromptLibrary", "Replies"]
