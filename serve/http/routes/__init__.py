"""The routes besides `/invocations` and `/ping`: a blueprint each."""
