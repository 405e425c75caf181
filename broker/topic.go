package broker

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Why a topic or filter is refused.
var (
	errTopicEmpty    = errors.New("empty")
	errTopicLong     = errors.New("too many bytes")
	errTopicDeep     = errors.New("too many levels")
	errTopicText     = errors.New("not plain UTF-8 text")
	errTopicWildcard = errors.New("wildcard out of place")
	errTopicReserved = errors.New("reserved: begins with $")
	errTopicShared   = errors.New("shared subscriptions are not offered")
)

// checkTopic says why t cannot be published to.
func checkTopic(t string, l *Limits) error {
	if err := checkText(t, l); err != nil {
		return err
	}
	if strings.ContainsAny(t, "+#") {
		return errTopicWildcard
	}
	return nil
}

// checkFilter says why f cannot be subscribed to: "#" stands only last, and
// both wildcards fill a level alone (MQTT 5, 4.7.1).
func checkFilter(f string, l *Limits) error {
	if strings.HasPrefix(f, "$share/") || f == "$share" {
		return errTopicShared
	}
	if err := checkText(f, l); err != nil {
		return err
	}
	for rest, more := f, true; more; {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if level == "#" && more || len(level) > 1 && strings.ContainsAny(level, "+#") {
			return errTopicWildcard
		}
	}
	return nil
}

// checkText holds for topics and filters alike. Control characters are refused
// so that a name can be shown anywhere; so is U+FEFF, which cannot be seen.
func checkText(s string, l *Limits) error {
	switch {
	case s == "":
		return errTopicEmpty
	case len(s) > l.Topic:
		return errTopicLong
	case strings.Count(s, "/") >= l.Levels:
		return errTopicDeep
	case s[0] == '$':
		return errTopicReserved
	case !plainText(s):
		return errTopicText
	}
	return nil
}

// plainText reports whether s is UTF-8 without control characters and U+FEFF.
func plainText(s string) bool {
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0xfeff || r == utf8.RuneError {
			return false
		}
	}
	return true
}

// matches reports whether filter matches topic; both must be valid.
func matches(filter, topic string) bool {
	for first := true; ; first = false {
		fl, frest, fmore := strings.Cut(filter, "/")
		if fl == "#" {
			return !first || topic[0] != '$'
		}
		tl, trest, tmore := strings.Cut(topic, "/")
		if fl != tl && (fl != "+" || first && topic[0] == '$') {
			return false
		}
		switch {
		case fmore && tmore:
			filter, topic = frest, trest
		case fmore:
			return frest == "#" // "a/#" matches "a" as well
		default:
			return !tmore
		}
	}
}

// covers reports whether every topic that wanted matches is matched by allowed.
// Both must be valid filters. It may say no where only an enumeration of
// all topics would show that it could say yes ("+/#" for "#").
func covers(allowed, wanted string) bool {
	for first := true; ; first = false {
		al, arest, amore := strings.Cut(allowed, "/")
		if al == "#" {
			return !first || wanted[0] != '$'
		}
		wl, wrest, wmore := strings.Cut(wanted, "/")
		if wl == "#" || al != wl && (al != "+" || first && wanted[0] == '$') {
			return false
		}
		switch {
		case amore && wmore:
			allowed, wanted = arest, wrest
		case amore:
			return arest == "#"
		default:
			return !wmore
		}
	}
}

// anyMatches reports whether one of the filters matches topic.
func anyMatches(filters []string, topic string) bool {
	for _, f := range filters {
		if matches(f, topic) {
			return true
		}
	}
	return false
}

// anyCovers reports whether one of the filters covers wanted.
func anyCovers(filters []string, wanted string) bool {
	for _, f := range filters {
		if covers(f, wanted) {
			return true
		}
	}
	return false
}
