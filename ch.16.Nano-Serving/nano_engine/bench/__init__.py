"""Measures an engine as its callers see it: workloads with arrival times, an open loop, and what came of it.

workloads.py   what is asked and when                      -> [Arrival]
open_loop.py   asks it at that time, whatever the engine does -> [Outcome]
report.py      percentiles, tables, JSON, plots
cases.py       the same workload with each optimization switched off in turn
"""
