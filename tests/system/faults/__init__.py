"""Faults on purpose: kills, cut links, full disks, lost power, wrong clocks; and what must hold after."""
