"""From a source to the topic: read pictures, pace them, number them, send them."""
