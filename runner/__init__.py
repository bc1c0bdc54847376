"""keitaro-runner: reviewed YAML playbooks for the Admin API of the Keitaro tracker."""

__version__ = "0.1.0"
