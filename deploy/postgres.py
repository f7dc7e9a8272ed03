"""`python deploy/postgres.py FOLDER`: the PostgreSQL that is installed on this machine, in the foreground.

For trying, or where no other is at hand. Debian's packages bring it (`apt-get install postgresql`). The data are in
FOLDER, made at the first start with the user, password and database of DAGSTER_PG_USERNAME, _PASSWORD and _DB. It
listens on DAGSTER_PG_HOST and DAGSTER_PG_PORT. PostgreSQL refuses to run as root: started as root it runs as the user
`postgres`, who must be able to enter the folder that FOLDER is in.
"""

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

INSTALLED = Path("/usr/lib/postgresql")


def main() -> None:
    """Makes the data folder if there is none, then becomes the server."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1]).absolute()
    found = sorted(INSTALLED.glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        sys.exit(f"there is no PostgreSQL in {INSTALLED}: apt-get install postgresql")
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    os.chdir(folder)
    password = os.environ.pop("DAGSTER_PG_PASSWORD")
    if not (folder / "made").exists():
        make(found[-1], folder, password)
    where = ["-h", os.environ["DAGSTER_PG_HOST"], "-p", os.environ["DAGSTER_PG_PORT"], "-k", str(folder)]
    os.execv(found[-1] / "postgres", ["postgres", "-D", str(folder / "data"), *where])


def make(programs: Path, folder: Path, password: str) -> None:
    """Makes the data folder with the user and the database; `made` tells that it is whole."""
    subprocess.run(["rm", "-rf", folder / "data"], check=True)
    with tempfile.NamedTemporaryFile("w", dir=folder) as file:
        file.write(password)
        file.flush()
        access = ["-U", os.environ["DAGSTER_PG_USERNAME"], "-A", "scram-sha-256", f"--pwfile={file.name}"]
        made = [programs / "initdb", "-D", folder / "data", "-E", "UTF8", "--locale=C.UTF-8", *access]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    database = os.environ["DAGSTER_PG_DB"].replace('"', '""')
    statement = f'CREATE DATABASE "{database}"\n'.encode()
    alone = [programs / "postgres", "--single", "-D", folder / "data", "postgres"]
    subprocess.run(alone, input=statement, check=True, stdout=subprocess.DEVNULL)
    (folder / "made").touch()


if __name__ == "__main__":
    main()
