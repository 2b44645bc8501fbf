"""Events in MongoDB: their form, writing them once, and finding them again."""
