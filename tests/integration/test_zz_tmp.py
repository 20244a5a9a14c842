import time, sys, psutil, subprocess
from pathlib import Path
import tests.integration.web_process as wp
orig=subprocess.Popen
def P(argv,**k):
    argv=[a.replace("web/gunicorn_settings.py","/tmp/cw-streams/g.py") for a in argv]
    k["env"]["PYTHONPATH"]+=":/tmp/cw-streams"
    return orig(argv,**k)
def test_x(deps,environ,tmp_path,monkeypatch):
    monkeypatch.setattr(wp.subprocess,"Popen",P)
    web=wp.serve(deps, environ | {"WEB_CONCURRENCY": "2"}, tmp_path / "web.log")
    jobs=[web.new_job() for _ in range(12)]
    ls=[web.follow(j) for j in jobs for _ in range(4)]
    for l in ls: l.until(lambda it: it.blocks)
    kids=psutil.Process(web.child.pid).children()
    t=time.monotonic(); web.child.terminate()
    for l in ls: l.until_end()
    print("told",time.monotonic()-t,file=sys.stderr)
    psutil.wait_procs(kids,timeout=20,callback=lambda p: print("kid",time.monotonic()-t,file=sys.stderr))
    web.child.wait(30)
    print("master",time.monotonic()-t,file=sys.stderr)
    for l in ls: l.close()
    print((tmp_path/"web.log").read_text(),file=sys.stderr)
