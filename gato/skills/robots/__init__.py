"""Your own robot: a YAML file with an MJCF or URDF model is a body with skills like any other.

In: the file, or what a dataset keeps of it. Out: a `Robot`, known to `gato.skills.table` once it is registered.
"""
