"""What people and programs read of a server: its devices, what it holds, what it refused, its metrics.

Everything here reads; nothing is changed. The pages load nothing from elsewhere, and without JavaScript they lose
comfort only.
"""
