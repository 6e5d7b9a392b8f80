// Observed collections under fire: engines that follow a real PostgreSQL, writers that write around them in every way of
// SQL, and the database killed, cut off, promoted away, its slot dropped, its tables altered. Linearizable reads and plain
// SELECTs stay linearizable together, the other levels keep their promises, and everything recovers by itself.
#include "observed_fixture.h"

#include "tcp_proxy.h"

namespace freshet::testing {
namespace {

using ObservedFaults = ObservedFixture;

TEST_F(ObservedFaults, NothingHappens) {
  load_.prepared_transactions = true;
  prepare();
  open(url_, "a");
  open(url_, "b");
  run([](int) {});
}

TEST_F(ObservedFaults, WalsendersAreKilled) {
  prepare();
  open(url_, "a");
  open(url_, "b");
  run([&](int) { TemporaryPostgres::run(url_, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication"); });
}

TEST_F(ObservedFaults, EverySessionIsKilled) {
  prepare();
  open(url_, "a");
  run([&](int) {
    TemporaryPostgres::run(url_, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                 "WHERE application_name LIKE 'freshet%' AND pid <> pg_backend_pid()");
  });
}

TEST_F(ObservedFaults, TheServerIsRestartedAndKilled) {
  prepare();
  open(url_, "a");
  run([&](int round) { server_.restart(round == 0 ? "fast" : "immediate"); });
}

TEST_F(ObservedFaults, ConnectionsAreCutAndStalled) {
  prepare();
  TcpProxy proxy(server_.port());
  open(server_.url_through(proxy.port(), database_of(url_)), "a");
  run([&](int round) {
    if (round == 0) return proxy.cut();
    // Silence, in which the reads must fail or wait, and never be answered from what is cached as if it were current.
    proxy.set_mode(round == 1 ? TcpProxy::Mode::swallow_replies : TcpProxy::Mode::stall);
    std::this_thread::sleep_for(std::chrono::seconds(2));
    proxy.set_mode(TcpProxy::Mode::pass);
    proxy.cut();
  });
}

TEST_F(ObservedFaults, TheSlotIsDroppedBehindOurBack) {
  prepare();
  open(url_, "a");
  run([&](int) {
    TemporaryPostgres::run(url_,
        "DO $$ DECLARE s record; BEGIN FOR s IN SELECT slot_name, active_pid FROM pg_replication_slots LOOP "
        "  PERFORM pg_terminate_backend(s.active_pid) WHERE s.active_pid IS NOT NULL; "
        "  FOR i IN 1..1000 LOOP BEGIN PERFORM pg_drop_replication_slot(s.slot_name); EXIT; "
        "    EXCEPTION WHEN object_in_use THEN PERFORM pg_sleep(0.001); WHEN undefined_object THEN EXIT; END; END LOOP; "
        "END LOOP; END $$");
  });
}

TEST_F(ObservedFaults, ThePublicationLosesATable) {
  prepare();
  open(url_, "a");
  run([&](int) {
    // Writers may not come between the commit's record and its being visible: docs/CONSISTENCY-OBSERVED.md, limits.
    TemporaryPostgres::run(url_, "BEGIN; LOCK TABLE register IN SHARE MODE; "
                                 "ALTER PUBLICATION freshet_default DROP TABLE register; COMMIT");
  });
}

TEST_F(ObservedFaults, TablesAreAlteredUnderLoad) {
  prepare();
  open(url_, "a");
  run([&](int round) {
    const std::string column = fmt::format("extra{}", round);
    TemporaryPostgres::run(url_, fmt::format("ALTER TABLE register ADD COLUMN {} int DEFAULT {}", column, round));
    TemporaryPostgres::run(url_, "ALTER TABLE counter ALTER COLUMN n TYPE numeric(20,0) USING n");
    TemporaryPostgres::run(url_, "ALTER TABLE counter ALTER COLUMN n TYPE bigint USING n");
    TemporaryPostgres::run(url_, fmt::format("ALTER TABLE register DROP COLUMN {}", column));
  });
}

TEST_F(ObservedFaults, HugeTransactions) {
  prepare();
  TemporaryPostgres::run(url_, "CREATE TABLE other (id int PRIMARY KEY, filler text)");
  open(url_, "a");
  run([&](int round) {
    TemporaryPostgres::run(url_, fmt::format("INSERT INTO register SELECT 1000000000 + {0} * 200000 + i, 'bulk' "
                                             "FROM generate_series(1, 200000) i", round));
  });
}

}  // namespace
}  // namespace freshet::testing
