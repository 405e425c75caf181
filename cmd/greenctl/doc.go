// Command greenctl administers a greenhouse: it registers nodes, sets targets,
// asks why, acknowledges alarms and shows the live dashboard. It talks to edged
// over a unix socket, or over TLS with a token, and never touches its files.
//
// One file holds one noun's verbs. A verb is a constructor of a cobra command
// over [app], which owns flags, configuration, the client and the printers.
// Data goes to standard output, everything else to standard error; errors take
// three lines at most: what, why, hint. Exit codes are those of package api.
package main
