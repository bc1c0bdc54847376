"""A stand-in Keitaro tracker on real HTTP; imports nothing from the rest of the package.

```python
from runner.emulator import Emulator, Fault, sample_seed

with Emulator(seed=sample_seed(), dialect=10) as tracker:
    tracker.url, tracker.key          # the API is below tracker.url + "/admin_api/v1"
    tracker.requests                  # list[Received]: what arrived, and what it changed
    tracker.state.rows("campaigns")   # copies of what is stored, the archive included
    tracker.fault(Fault("reset_after", match="POST .*/campaigns$"))
    tracker.clear_faults()
```
"""

from runner.emulator.access import Rights
from runner.emulator.faults import Fault, FaultKind
from runner.emulator.sample import sample_seed
from runner.emulator.server import DEFAULT_KEY, Emulator
from runner.emulator.service import Received

__all__ = ["DEFAULT_KEY", "Emulator", "Fault", "FaultKind", "Received", "Rights", "sample_seed"]
