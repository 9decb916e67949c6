"""The rules of rollouts as functions of values and ``now``: no I/O, no clock, no protobuf, no SQL.

How they fit together:

* :mod:`plan` turns a selection and wave specifications into waves and exclusions, :mod:`limits` reads a request's.
* :mod:`policy` merges what is said at three levels, :mod:`hostrules` says what it means for one host.
* :mod:`states` holds the machines of attempt, wave and rollout as tables.
* :mod:`assignments` says what a report or a hello does to an attempt, :mod:`go` whether a host may start,
  :mod:`promote` whether its new version may be kept, :mod:`deadlines` when silence counts as an answer.
* :mod:`budget` and :mod:`charges` say what an attempt holds of the blast radius in each of its states.
* :mod:`summary` keeps counters per wave by the difference that one host's step makes; :mod:`decide` reads them and says
  what the rollout does next. Its work does not grow with the number of hosts.
"""
