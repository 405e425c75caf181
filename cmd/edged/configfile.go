package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"greenhouse"
)

// mergeFile lays one file over v and refuses keys that do not exist.
func mergeFile(v *viper.Viper, path string, known map[string]any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return unreadable(path, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return greenhouse.Invalid("config_invalid", "%s is not YAML: %s", path, strings.TrimPrefix(oneLine(err), "yaml: ")).
			WithHint("the file is lines of key: value; what belongs to a key is indented by spaces")
	}
	if len(doc.Content) == 0 {
		return nil // nothing but comments
	}
	if err := checkKeys(path, "", doc.Content[0], known); err != nil {
		return err
	}
	var settings map[string]any
	if err := doc.Decode(&settings); err != nil {
		return greenhouse.Invalid("config_invalid", "%s: %s", path, strings.TrimPrefix(oneLine(err), "yaml: "))
	}
	return v.MergeConfigMap(settings)
}

// unreadable says why a configuration file cannot be read.
func unreadable(path string, err error) error {
	why := err.Error()
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		why = p.Err.Error()
	}
	e := greenhouse.Invalid("config_invalid", "configuration %s cannot be read: %s", path, why)
	if errors.Is(err, fs.ErrPermission) {
		return e.WithHint("run as the user of the daemon, or chown edged %s", path)
	}
	return e.WithHint("--config names the file; without it edged reads %s, if that exists", systemConfig)
}

// checkKeys refuses a key that does not exist, with its line and the nearest
// that does, and a key without the keys that belong below it.
func checkKeys(path, prefix string, n *yaml.Node, known map[string]any) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return greenhouse.Invalid("config_invalid", "%s:%d: aliases are not understood here", path, n.Line)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil // a key with everything below it commented out
	case n.Kind != yaml.MappingNode && prefix == "":
		return greenhouse.Invalid("config_invalid", "%s:%d: a configuration is lines of key: value", path, n.Line)
	case n.Kind != yaml.MappingNode:
		return greenhouse.Invalid("config_invalid", "%s:%d: %s takes keys of its own, not a value", path, n.Line, prefix).WithHint("such as %s", below(prefix, known))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := strings.TrimPrefix(prefix+"."+strings.ToLower(key.Value), ".")
		if line, twice := seen[name]; twice {
			return greenhouse.Invalid("config_invalid", "%s:%d: %s stands here and in line %d", path, key.Line, name, line)
		}
		seen[name] = key.Line
		if _, leaf := known[name]; leaf {
			if value.Kind != yaml.ScalarNode {
				return greenhouse.Invalid("config_invalid", "%s:%d: %s takes one value", path, value.Line, name)
			}
			continue
		}
		if below(name, known) == "" {
			err := greenhouse.Invalid("config_key_unknown", "%s:%d: there is no key %q", path, key.Line, name)
			if near := nearest(name, known); near != "" {
				return err.WithHint("did you mean %q?", near)
			}
			return err.WithHint("edged check-config lists the keys; zones, nodes and targets are records, see greenctl")
		}
		if err := checkKeys(path, name, value, known); err != nil {
			return err
		}
	}
	return nil
}

// below returns the first key under a prefix, "" if there is none.
func below(prefix string, known map[string]any) string {
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if strings.HasPrefix(k, prefix+".") {
			return k
		}
	}
	return ""
}

// checkTypes refuses a value of the wrong type, wherever it came from.
func checkTypes(v *viper.Viper) error {
	for _, key := range []string{"mqtt.max_clients", "mqtt.max_per_address", "mqtt.max_pending", "mqtt.burst", "api.burst", "api.max_connections", "api.max_per_address"} {
		if s := v.GetString(key); !isInt(s) {
			return greenhouse.Invalid("config_invalid", "%s is %q: it must be a whole number", key, s)
		}
	}
	for _, key := range []string{"mqtt.rate", "api.rate"} {
		if _, err := strconv.ParseFloat(v.GetString(key), 64); err != nil {
			return greenhouse.Invalid("config_invalid", "%s is %q: it must be a number", key, v.GetString(key))
		}
	}
	const loopback = "mqtt.limit_loopback"
	if _, err := strconv.ParseBool(v.GetString(loopback)); err != nil {
		return greenhouse.Invalid("config_invalid", "%s is %q: it must be true or false", loopback, v.GetString(loopback))
	}
	for _, key := range []string{"control.period", "mqtt.connect_timeout", "mqtt.write_timeout"} {
		if s := fmt.Sprint(v.Get(key)); !isDuration(s) {
			return greenhouse.Invalid("config_invalid", "%s is %q: it must be a time with its unit", key, s).WithHint("write 5s")
		}
	}
	return nil
}

func isInt(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

func isDuration(s string) bool {
	_, err := time.ParseDuration(s)
	return err == nil
}

// nearest returns the known key most like key, "" if none is.
func nearest(key string, known map[string]any) string {
	best, cost := "", len(key)/2+1
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if d := distance(key, k); d < cost {
			best, cost = k, d
		}
	}
	return best
}

// distance is the number of single-byte edits from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
