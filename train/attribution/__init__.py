"""Why a network said what it said: maps, checks of the maps, and pictures of both.

`maps` and `sheet` need no torch; `methods` and `checks` do.
"""
