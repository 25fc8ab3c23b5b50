"""What doctor says of Redis."""

import pytest
from places import running_redis

from cli.health import check_redis
from domain.settings import read_settings


@pytest.mark.slow
def test_doctor_tells_how_redis_is() -> None:
    assert check_redis(read_settings()).state == "off"
    with running_redis() as url:
        settings = read_settings(redis_url=url)
        assert check_redis(settings).state == "ok"
    away = check_redis(settings)
    assert (away.state, away.fatal) == ("degraded", False)
    assert "FRONTDESK_REDIS_URL" in away.fix
