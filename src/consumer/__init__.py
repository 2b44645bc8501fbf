"""From the topic to the viewer and the store: receive, classify, show, store, and only then commit."""
