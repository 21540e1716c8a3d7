"""The sections of the card, one file each: what it needs, what it measures, and the verdict that follows."""
