"""Write the golden templates anew, to be looked at in the difference."""

import json

from deploy.template import template
from tests.deploy.configs import KINDS
from tests.deploy.test_template import GOLDEN

if __name__ == "__main__":
    for kind, config in KINDS.items():
        (GOLDEN / f"{kind}.json").write_text(json.dumps(template(config), indent=2) + "\n")
