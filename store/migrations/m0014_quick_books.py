"""Two functions of Postgres that hold and settle a call in one statement, where nothing stands against it.

Each statement in them sees what was committed before it, and the first waits for the books' lock: what they look at
is the newest. Whatever is not plain (an account to be opened, one that is full, a limit that was changed, a hold that
expired) they leave to store/budget.py, and say so with NULL or false.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

LIMITS = """
CREATE FUNCTION frontdesk_limits() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(string_agg(one::text, '|' ORDER BY scope, name, period, kind), '') FROM budget_limits one
$$
"""

HOLD = """
CREATE FUNCTION frontdesk_hold(
  a_ids text[], a_kept boolean[], a_caps bigint[], a_limits text, a_at timestamptz, a_until timestamptz, a_day date,
  a_model text, a_user text, a_key text, a_turn text, a_amount bigint
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE made bigint;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM FROM budget_accounts WHERE id = 'total::ever:1970-01-01' FOR UPDATE;
  IF frontdesk_limits() <> a_limits OR EXISTS (
    SELECT FROM unnest(a_ids, a_kept, a_caps) AS wanted(id, kept, cap) LEFT JOIN budget_accounts one USING (id)
    WHERE (one.id IS NULL AND wanted.kept) OR one.closed OR one.settled + one.reserved + a_amount > wanted.cap
  ) THEN
    RETURN NULL;
  END IF;
  UPDATE budget_accounts SET reserved = reserved + a_amount WHERE id = ANY(a_ids);
  INSERT INTO holds (at, day, model, user_hash, key, turn_id, amount, expires_at, expired, paid, compared)
    VALUES (a_at, a_day, a_model, a_user, a_key, a_turn, a_amount, a_until, false, NULL, false)
    RETURNING id INTO made;
  RETURN made;
END $$
"""

SETTLE = """
CREATE FUNCTION frontdesk_settle(a_hold bigint, a_turn text, a_cost bigint, a_ids text[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE was bigint;
BEGIN
  PERFORM FROM budget_accounts WHERE id = 'total::ever:1970-01-01' FOR UPDATE;
  UPDATE holds SET paid = a_cost
    WHERE id = a_hold AND turn_id = a_turn AND paid IS NULL AND NOT expired AND amount >= a_cost
    RETURNING amount INTO was;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE budget_accounts SET settled = settled + a_cost, reserved = reserved - was WHERE id = ANY(a_ids);
  RETURN true;
END $$
"""


def upgrade() -> None:
    """Run inside the transaction of store/migrate.py. There is no way back but a backup."""
    if op.get_bind().dialect.name == "postgresql":
        for function in (LIMITS, HOLD, SETTLE):
            op.execute(function)
