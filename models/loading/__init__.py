"""How a model is loaded: from a hub, from a folder, or built at random from its numbers."""
