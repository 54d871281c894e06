"""Forecasts of series: tables, windows, scaling, baselines, nets, and how they are judged."""
