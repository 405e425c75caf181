// Package security_test attacks the whole daemon over loopback, as somebody on
// the network would: with and without credentials, over MQTT and over the API.
// It also holds the access of both against lists written by hand.
package security_test
