package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	_ "modernc.org/sqlite"

	"greenhouse"
	"greenhouse/telemetry"
)

// row is one sample; points of one node follow each other.
type row struct {
	point, node int
	ts          int64
	v           float64
}

// store is one contender. Points are 0 to n-1, per to a node.
type store interface {
	// open opens or creates it in dir.
	open(dir string, points, per int) error
	// commit makes the rows as durable as it ever does.
	commit(rows []row) error
	// bulk stores rows by the fastest way there is, durable or not.
	bulk(rows []row) error
	// settle brings everything into the form in which it will stay, and
	// returns the files that count.
	settle() (string, error)
	// bins returns the number of bins of a point between two times, about 500.
	bins(point int, from, to int64) (int, error)
	// raw returns the number of samples of a point between two times.
	raw(point int, from, to int64) (int, error)
	close() error
}

// newStore makes a contender by name; dsn is for PostgreSQL.
func newStore(name, dsn string) (store, error) {
	switch name {
	case "ours":
		return &ours{}, nil
	case "sqlite":
		return &sqlite{}, nil
	case "tsdb":
		return &promTSDB{}, nil
	case "postgres":
		return &pg{dsn: dsn}, nil
	case "postgres-n1":
		return &pg{dsn: dsn, single: true}, nil
	}
	return nil, fmt.Errorf("there is no store %q", name)
}

// --- ours

// noSync is a disk that does not sync, for filling.
type noSync struct{ telemetry.OSDisk }

type noSyncFile struct{ telemetry.File }

func (noSyncFile) Sync() error { return nil }

// Open opens name for reading and writing.
func (d noSync) Open(name string, flag int) (telemetry.File, error) {
	f, err := d.OSDisk.Open(name, flag)
	return noSyncFile{f}, err
}

// ours is the engine, fed with messages as the daemon does it. Its clock
// follows the data.
type ours struct {
	dir    string
	per    int
	engine *telemetry.Engine
	mu     sync.Mutex
	at     int64 // what Now says, ms
	fault  error
	hour   int64
	flight sync.WaitGroup
	seq    []uint64
}

func (o *ours) now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.UnixMilli(o.at)
}

func (o *ours) open(dir string, points, per int) error {
	o.dir, o.per, o.at = dir, per, max(o.at, stamp(0, 0))
	return o.openWith(telemetry.Options{})
}

func (o *ours) openWith(opt telemetry.Options) (err error) {
	opt.Dir, opt.Now, opt.MinFree = o.dir, o.now, -1
	if o.at < time.Now().Add(-time.Hour).UnixMilli() {
		opt.Maintain = -1 // clock does it, as data time goes by
	}
	o.engine, err = telemetry.Open(opt)
	if err == nil && o.engine.Stats().Newest > 0 {
		o.at = max(o.at, int64(o.engine.Stats().Newest))
	}
	return err
}

func benchUID(node int) greenhouse.UID {
	return greenhouse.UID(fmt.Sprintf("climate-%012x", node))
}

func benchPoint(p int) greenhouse.PointID {
	return greenhouse.PointID(fmt.Sprintf("zone-%d/value%d", p/10, p%10))
}

func (o *ours) send(node int, rs []greenhouse.Reading) error {
	for len(o.seq) <= node {
		o.seq = append(o.seq, 0)
	}
	o.seq[node]++
	o.flight.Add(1)
	b := &telemetry.Batch{Node: benchUID(node), Boot: "b", Seq: o.seq[node], HasSeq: true, Readings: rs, Arrived: o.now(), Done: o.done}
	err := o.engine.Submit(context.Background(), b)
	if err != nil {
		o.flight.Done()
	}
	return err
}

func (o *ours) done(err error) {
	if err != nil {
		o.mu.Lock()
		o.fault = err
		o.mu.Unlock()
	}
	o.flight.Done()
}

// clock moves the time on, and lets the engine do once an hour what it does by
// itself in real time.
func (o *ours) clock(at int64) error {
	o.mu.Lock()
	o.at = max(o.at, at)
	o.mu.Unlock()
	if h := at / 3_600_000; h != o.hour {
		o.hour = h
		o.flight.Wait()
		return errors.Join(o.fault, o.engine.Maintain())
	}
	return nil
}

// queue hands rows over, one batch a node.
func (o *ours) queue(rows []row) error {
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].node == rows[0].node && rows[n].ts == rows[0].ts {
			n++
		}
		rs := make([]greenhouse.Reading, n)
		for i, r := range rows[:n] {
			rs[i] = greenhouse.Reading{Point: benchPoint(r.point), At: greenhouse.Millis(r.ts), Value: r.v}
		}
		if err := o.clock(rows[0].ts); err != nil {
			return err
		}
		if err := o.send(rows[0].node, rs); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (o *ours) commit(rows []row) error {
	err := o.queue(rows)
	o.flight.Wait()
	return errors.Join(err, o.fault)
}

func (o *ours) bulk(rows []row) error { return o.queue(rows) }

func (o *ours) settle() (string, error) {
	o.flight.Wait()
	if err := o.clock(o.now().UnixMilli() + 2*86_400_000); err != nil {
		return "", err
	}
	return filepath.Join(o.dir, "days"), errors.Join(o.fault, o.engine.Seal(), o.engine.Maintain())
}

func (o *ours) bins(point int, from, to int64) (int, error) {
	r, err := o.engine.History(context.Background(), telemetry.Query{Point: benchPoint(point), From: greenhouse.Millis(from), To: greenhouse.Millis(to)})
	return len(r.Samples), err
}

func (o *ours) raw(point int, from, to int64) (int, error) {
	r, err := o.engine.History(context.Background(), telemetry.Query{Point: benchPoint(point), From: greenhouse.Millis(from), To: greenhouse.Millis(to), Step: telemetry.StepRaw})
	return len(r.Samples), err
}

func (o *ours) close() error {
	o.flight.Wait()
	return errors.Join(o.fault, o.engine.Close(context.Background()))
}

// --- SQLite

// sqlite is a table without rowid under (point, ts), batched transactions, WAL,
// and a sync at every commit.
type sqlite struct {
	dir    string
	db     *sql.DB
	insert *sql.Stmt
}

func (s *sqlite) open(dir string, _, _ int) (err error) {
	s.dir = dir
	if s.db, err = sql.Open("sqlite", "file:"+filepath.Join(dir, "samples.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"); err != nil {
		return err
	}
	s.db.SetMaxOpenConns(1)
	if _, err = s.db.Exec("CREATE TABLE IF NOT EXISTS samples (point INTEGER, ts INTEGER, value REAL, PRIMARY KEY (point, ts)) WITHOUT ROWID"); err != nil {
		return err
	}
	s.insert, err = s.db.Prepare("INSERT OR IGNORE INTO samples VALUES " + strings.Repeat(",(?,?,?)", sqliteRows)[1:])
	return err
}

// sqliteRows is how many rows one statement inserts.
const sqliteRows = 100

func (s *sqlite) commit(rows []row) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	stmt := tx.Stmt(s.insert)
	args := make([]any, 0, 3*sqliteRows)
	for ; len(rows) >= sqliteRows; rows = rows[sqliteRows:] {
		args = args[:0]
		for _, r := range rows[:sqliteRows] {
			args = append(args, r.point, r.ts, r.v)
		}
		if _, err := stmt.Exec(args...); err != nil {
			return err
		}
	}
	for _, r := range rows {
		if _, err := tx.Exec("INSERT OR IGNORE INTO samples VALUES (?,?,?)", r.point, r.ts, r.v); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (s *sqlite) bulk(rows []row) error { return s.commit(rows) }

func (s *sqlite) settle() (string, error) {
	_, err := s.db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	return s.dir, err
}

func (s *sqlite) bins(point int, from, to int64) (n int, err error) {
	return countRows(s.db.Query("SELECT (ts-?)/?, avg(value), min(value), max(value), count(*) FROM samples WHERE point=? AND ts>=? AND ts<? GROUP BY 1 ORDER BY 1", from, (to-from)/500, point, from, to))
}

func (s *sqlite) raw(point int, from, to int64) (int, error) {
	rows, err := s.db.Query("SELECT ts, value FROM samples WHERE point=? AND ts>=? AND ts<? ORDER BY ts", point, from, to)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var ts int64
		var v float64
		if err := rows.Scan(&ts, &v); err != nil {
			return 0, err
		}
		n++
	}
	return n, rows.Err()
}

func countRows(rows *sql.Rows, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var bin, c int64
		var a, lo, hi float64
		if err := rows.Scan(&bin, &a, &lo, &hi, &c); err != nil {
			return 0, err
		}
		n++
	}
	return n, rows.Err()
}

func (s *sqlite) close() error { return s.db.Close() }

// --- Prometheus

// promTSDB is the embedded TSDB; its commit writes a log and never syncs it.
type promTSDB struct {
	dir    string
	db     *tsdb.DB
	refs   []storage.SeriesRef
	labels []labels.Labels
	cut    int64
}

func (p *promTSDB) open(dir string, points, _ int) (err error) {
	p.dir = dir
	opt := tsdb.DefaultOptions()
	opt.RetentionDuration = (10 * 365 * 24 * time.Hour).Milliseconds()
	if p.db, err = tsdb.Open(dir, nil, nil, opt, nil); err != nil {
		return err
	}
	p.db.DisableCompactions() // called by bulk as data time goes by
	p.refs, p.labels = make([]storage.SeriesRef, points), make([]labels.Labels, points)
	for i := range p.labels {
		p.labels[i] = labels.FromStrings("__name__", "sample", "point", string(benchPoint(i)))
	}
	return nil
}

func (p *promTSDB) commit(rows []row) (err error) {
	app := p.db.Appender(context.Background())
	for _, r := range rows {
		if p.refs[r.point], err = app.Append(p.refs[r.point], p.labels[r.point], r.ts, r.v); err != nil {
			return errors.Join(err, app.Rollback())
		}
	}
	return app.Commit()
}

func (p *promTSDB) bulk(rows []row) error {
	if err := p.commit(rows); err != nil {
		return err
	}
	if ts := rows[len(rows)-1].ts; ts-p.cut > 6*3_600_000 {
		p.cut = ts
		return p.compact()
	}
	return nil
}

func (p *promTSDB) compact() error {
	p.db.EnableCompactions()
	defer p.db.DisableCompactions()
	return p.db.Compact(context.Background())
}

// settle writes everything as blocks, the head too, into a directory of its own
// and goes on with that.
func (p *promTSDB) settle() (string, error) {
	if err := p.compact(); err != nil {
		return "", err
	}
	final := p.dir + "-final"
	if err := p.db.Snapshot(final, true); err != nil {
		return "", err
	}
	points := len(p.labels)
	if err := p.db.Close(); err != nil {
		return "", err
	}
	return final, p.open(final, points, 0)
}

// each calls fn with every sample of a point.
func (p *promTSDB) each(point int, from, to int64, fn func(ts int64, v float64)) error {
	q, err := p.db.Querier(from, to-1)
	if err != nil {
		return err
	}
	defer q.Close()
	set := q.Select(context.Background(), false, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", "sample"), labels.MustNewMatcher(labels.MatchEqual, "point", string(benchPoint(point))))
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() != chunkenc.ValNone {
			fn(it.At())
		}
		if err := it.Err(); err != nil {
			return err
		}
	}
	return set.Err()
}

func (p *promTSDB) bins(point int, from, to int64) (int, error) {
	type bin struct {
		sum, lo, hi float64
		n           int
	}
	bins := make([]bin, 501)
	width := (to - from) / 500
	err := p.each(point, from, to, func(ts int64, v float64) {
		b := &bins[(ts-from)/width]
		if b.n == 0 {
			b.lo, b.hi = v, v
		}
		b.lo, b.hi, b.sum, b.n = min(b.lo, v), max(b.hi, v), b.sum+v, b.n+1
	})
	n := 0
	for _, b := range bins {
		if b.n > 0 {
			n++
		}
	}
	return n, err
}

func (p *promTSDB) raw(point int, from, to int64) (int, error) {
	type sample struct {
		ts int64
		v  float64
	}
	var out []sample
	err := p.each(point, from, to, func(ts int64, v float64) { out = append(out, sample{ts, v}) })
	return len(out), err
}

func (p *promTSDB) close() error { return p.db.Close() }

// --- PostgreSQL

// pg is the system that is replaced: samples and newest values in two tables.
// Batched, one INSERT of the whole batch and one upsert of the newest values;
// single, two SELECTs and an INSERT for every sample.
type pg struct {
	dsn    string
	per    int
	single bool
	conn   *pgx.Conn
}

func (p *pg) open(_ string, points, per int) (err error) {
	p.per = per
	ctx := context.Background()
	if p.conn, err = pgx.Connect(ctx, p.dsn); err != nil {
		return err
	}
	var there bool
	if err := p.conn.QueryRow(ctx, "SELECT to_regclass('telemetry_samples') IS NOT NULL").Scan(&there); err != nil || there {
		return err
	}
	for _, q := range []string{
		"CREATE TABLE zones (id serial PRIMARY KEY, uid text UNIQUE)",
		"CREATE TABLE nodes (id serial PRIMARY KEY, uid text UNIQUE)",
		"CREATE TABLE telemetry_samples (id bigserial PRIMARY KEY, zone_id int, node_id int, metric_type text, channel text, value double precision, ts timestamptz)",
		"CREATE INDEX ON telemetry_samples (node_id, metric_type, ts)",
		"CREATE TABLE telemetry_last (zone_id int, node_id int, metric_type text, channel text, value double precision, updated_at timestamptz, PRIMARY KEY (zone_id, metric_type))",
		fmt.Sprintf("INSERT INTO zones (uid) SELECT 'zone-'||i FROM generate_series(0, %d) i", points/per),
		fmt.Sprintf("INSERT INTO nodes (uid) SELECT 'node-'||i FROM generate_series(0, %d) i", points/per),
	} {
		if _, err := p.conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

func (p *pg) metric(point int) string { return fmt.Sprintf("value%d", point%p.per) }

func (p *pg) commit(rows []row) error {
	if p.single {
		return p.commitEach(rows)
	}
	ctx := context.Background()
	tx, err := p.conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	q := []byte("INSERT INTO telemetry_samples (zone_id, node_id, metric_type, channel, value, ts) VALUES ")
	args := make([]any, 0, 6*len(rows))
	last := map[int]row{}
	for i, r := range rows {
		q = fmt.Appendf(q, "%.*s($%d,$%d,$%d,$%d,$%d,$%d)", min(i, 1), ",", 6*i+1, 6*i+2, 6*i+3, 6*i+4, 6*i+5, 6*i+6)
		m := p.metric(r.point)
		args = append(args, r.node+1, r.node+1, m, m, r.v, time.UnixMilli(r.ts))
		last[r.point] = r
	}
	if _, err := tx.Exec(ctx, string(append(q, " ON CONFLICT DO NOTHING"...)), args...); err != nil {
		return err
	}
	q, args = []byte("INSERT INTO telemetry_last (zone_id, node_id, metric_type, channel, value, updated_at) VALUES "), args[:0]
	for _, r := range last {
		n := len(args)
		q = fmt.Appendf(q, "%.*s($%d,$%d,$%d,$%d,$%d,NOW())", min(n, 1), ",", n+1, n+2, n+3, n+4, n+5)
		m := p.metric(r.point)
		args = append(args, r.node+1, r.node+1, m, m, r.v)
	}
	if _, err := tx.Exec(ctx, string(append(q, " ON CONFLICT (zone_id, metric_type) DO UPDATE SET node_id = EXCLUDED.node_id, channel = EXCLUDED.channel, value = EXCLUDED.value, updated_at = NOW()"...)), args...); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

func (p *pg) commitEach(rows []row) error {
	ctx := context.Background()
	for _, r := range rows {
		var zone, node int
		if err := p.conn.QueryRow(ctx, "SELECT id FROM zones WHERE uid=$1", fmt.Sprintf("zone-%d", r.node)).Scan(&zone); err != nil {
			return err
		}
		if err := p.conn.QueryRow(ctx, "SELECT id FROM nodes WHERE uid=$1", fmt.Sprintf("node-%d", r.node)).Scan(&node); err != nil {
			return err
		}
		if _, err := p.conn.Exec(ctx, "INSERT INTO telemetry_samples (zone_id, node_id, metric_type, value, ts) VALUES ($1,$2,$3,$4,$5)", zone, node, p.metric(r.point), r.v, time.UnixMilli(r.ts)); err != nil {
			return err
		}
	}
	return nil
}

func (p *pg) bulk(rows []row) error {
	_, err := p.conn.CopyFrom(context.Background(), pgx.Identifier{"telemetry_samples"}, []string{"zone_id", "node_id", "metric_type", "channel", "value", "ts"},
		pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			r := rows[i]
			m := p.metric(r.point)
			return []any{r.node + 1, r.node + 1, m, m, r.v, time.UnixMilli(r.ts)}, nil
		}))
	return err
}

// settle returns the size in place of a directory, for the server has the files.
func (p *pg) settle() (string, error) {
	if _, err := p.conn.Exec(context.Background(), "CHECKPOINT"); err != nil {
		return "", err
	}
	var n int64
	err := p.conn.QueryRow(context.Background(), "SELECT pg_total_relation_size('telemetry_samples')").Scan(&n)
	return fmt.Sprintf("bytes:%d", n), err
}

func (p *pg) bins(point int, from, to int64) (int, error) {
	ctx := context.Background()
	rows, err := p.conn.Query(ctx, "SELECT floor(extract(epoch FROM ts - $1::timestamptz)*1000/$2::float8) b, avg(value), min(value), max(value), count(*) FROM telemetry_samples WHERE node_id=$3 AND metric_type=$4 AND ts>=$1 AND ts<$5 GROUP BY 1 ORDER BY 1",
		time.UnixMilli(from), float64((to-from)/500), point/p.per+1, p.metric(point), time.UnixMilli(to))
	return drainPG(rows, err)
}

func (p *pg) raw(point int, from, to int64) (int, error) {
	rows, err := p.conn.Query(context.Background(), "SELECT ts, value FROM telemetry_samples WHERE node_id=$1 AND metric_type=$2 AND ts>=$3 AND ts<$4 ORDER BY ts", point/p.per+1, p.metric(point), time.UnixMilli(from), time.UnixMilli(to))
	return drainPG(rows, err)
}

func drainPG(rows pgx.Rows, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		if _, err := rows.Values(); err != nil {
			return 0, err
		}
		n++
	}
	return n, rows.Err()
}

func (p *pg) close() error { return p.conn.Close(context.Background()) }
