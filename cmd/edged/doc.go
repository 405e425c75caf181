// Command edged is the greenhouse edge daemon: registry, MQTT broker, control
// loop, history and alarms of one site in one process.
//
// This room knows flags, the configuration file and signals, and nothing else:
// it turns them into [edge.Options] and runs the daemon. Configuration holds
// listeners, directories, limits and TLS; zones, nodes and targets are records
// in the registry. "edged demo" joins the real daemon to a simulated greenhouse
// over real MQTT on loopback.
package main
