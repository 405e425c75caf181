// Package bench compares the daemon with what else could be used, in one run on
// one machine: its durable MQTT ingest with mosquitto's, its history with
// SQLite, PostgreSQL and the TSDB of Prometheus. It is a module of its own, so
// that none of these ever enters the product's dependencies.
//
// Everything is in tests: "make bench-peers" runs TestPeers, which takes turns
// with the contenders, round after round in alternating order, takes medians,
// prints tables and writes them into docs/benchmarks.md. A peer that is not
// installed is left out and named. Each measurement of a store runs in a process
// of its own, this test binary called again, so that memory and written bytes are
// its alone. All of it is on loopback and in temporary directories, and bounded in
// time.
package bench
