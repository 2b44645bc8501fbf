"""The pages and the live picture: one Flask blueprint a room."""
