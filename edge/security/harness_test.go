package security_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/edge"
)

// diary takes the daemon's log.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// house is a real daemon with MQTT in clear and over TLS, and the API on its
// socket and over TLS.
type house struct {
	t                *testing.T
	dir              string
	log              *diary
	mqtt, mqtts, api string // addresses
	socket           string
	client           *client.Client // over the socket: admin
	roots            *x509.CertPool
}

// open starts a daemon; change may alter its options.
func open(t *testing.T, change ...func(*edge.Options)) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &house{t: t, dir: filepath.Join(dir, "data"), log: &diary{}, socket: filepath.Join(dir, "s"), mqtts: free(t), api: free(t)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.mqtt = l.Addr().String()
	o := edge.Options{Version: "test", DataDir: h.dir, Log: slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		MQTTListeners: []net.Listener{l}, MQTTSListen: h.mqtts, APISocket: h.socket, APIListen: h.api, ClockTrust: edge.TrustAlways, NoSync: true}
	for _, c := range change {
		c(&o)
	}
	d, err := edge.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.client = h.must(client.New(client.Options{Socket: h.socket}))
	h.trust()
	return h
}

// free returns an address of loopback that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (h *house) must(c *client.Client, err error) *client.Client {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(c.Close)
	return c
}

// trust gives the test the daemon's authority.
func (h *house) trust() {
	h.t.Helper()
	ca, err := h.client.CA(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	h.roots = x509.NewCertPool()
	if !h.roots.AppendCertsFromPEM([]byte(ca.PEM)) {
		h.t.Fatal("the authority is no certificate")
	}
}

func (h *house) ctx() context.Context { return h.t.Context() }

func (h *house) tls() *tls.Config {
	return &tls.Config{RootCAs: h.roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// remote returns a client over TLS with a token.
func (h *house) remote(token string) *client.Client {
	h.t.Helper()
	return h.must(client.New(client.Options{Server: "https://" + h.api, Token: token, TLS: h.tls()}))
}

// token makes a token and returns its secret.
func (h *house) token(name string, role api.Role) string {
	h.t.Helper()
	t, err := h.client.CreateToken(h.ctx(), api.CreateTokenRequest{Name: name, Role: role}, client.Write{})
	if err != nil {
		h.t.Fatal(err)
	}
	return t.Secret
}

// node registers a node with the channels given, in the zone if there is one.
func (h *house) node(hw string, typ greenhouse.NodeType, zone greenhouse.ZoneID, channels ...api.DeclaredChannel) api.Registered {
	h.t.Helper()
	n, err := h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: hw, Type: typ, Zone: zone, Channels: channels}, client.Write{})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// events returns all events after a number.
func (h *house) events(since uint64) []api.Event {
	h.t.Helper()
	l, err := h.client.Events(h.ctx(), since, 10_000)
	if err != nil {
		h.t.Fatal(err)
	}
	return l.Items
}

// last returns the number of the newest event.
func (h *house) last() uint64 {
	h.t.Helper()
	st, err := h.client.Status(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	return st.LastEvent
}

// eventually waits until ok, or fails after so long.
func (h *house) eventually(within time.Duration, what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(within); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
