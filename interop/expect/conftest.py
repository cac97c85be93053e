import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "clients/python"))
pytest_plugins = ["posthaste_collector"]
