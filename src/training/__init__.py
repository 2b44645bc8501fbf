"""From labelled pictures to a bundle that can be served. Everything that needs TensorFlow stands here."""
