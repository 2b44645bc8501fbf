"""Connections, request headers and bodies, read strictly and within limits.

Below Flask: knows no route.
"""
