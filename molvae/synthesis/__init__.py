"""A shareable set of molecules and properties in the place of a private one."""
