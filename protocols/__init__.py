"""MPC programs over tables: join, binning counts, WOE and IV."""
