"""Who may do what, as data: every route, every kind of identity, every kind of object, and the status that follows.

``table`` has a line for each route, ``people`` everybody who may come, ``things`` what they ask for, and ``rules`` the
few rules by which the status of a cell follows from its line. ``world`` holds two organizations and asks.
"""
