"""
A tax team's days, simulated: the package as it is, on a clock, a network, a storage and an Airflow of our own.

One seed makes one day (``plan``): what the team asks for, and what goes wrong. ``day.run`` lives it and ``oracle``
judges it by what the service holds and was sent, not by what the package says of itself. The
commands are in ``__main__``.
"""
