# Loads modules from sources on the command line: no file is written, and tracebacks still show source lines.
import sys

if sys.version_info < (3, 11):
    version = ".".join(map(str, sys.version_info[:3]))
    reason = "needs Python 3.11 or newer, and %s is %s; name a newer one by PACELINE_PYTHON" % (sys.executable, version)
    print('{"unavailable":{"reason":"%s","version":"%s"}}' % (reason, version), flush=True)
    sys.exit(0)

import linecache
import types

sys.path = [folder for folder in sys.path if folder]
*sources, model = sys.argv[1:]
for name, text in zip(sources[::2], sources[1::2]):
    file = f"paceline/{name}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, file, "exec"), module.__dict__)
sys.modules["interpreter"].main(model)
