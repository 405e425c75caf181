package journal

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"greenhouse"
)

// maxWaiting bounds the transitions that wait for a disk.
const maxWaiting = 1024

// about is what there is one alarm for.
type about struct {
	source greenhouse.Source
	code   string
}

// transition is a change of an alarm on its way to the disk.
type transition struct {
	id    string
	event greenhouse.Event
}

// alarmBook is all alarms. Who writes holds writing throughout; mu is held for
// moments only, so reading never waits for the disk.
type alarmBook struct {
	writing sync.Mutex

	mu      sync.RWMutex
	byAbout map[about]*greenhouse.Alarm
	byID    map[string]*greenhouse.Alarm
	waiting []transition // in memory already, not on disk yet
	lost    int          // transitions forgotten beyond maxWaiting
}

// load reads all alarms. Those that wait for a disk stay as they are in memory.
func (b *alarmBook) load(tx Tx) error {
	byAbout, byID := map[about]*greenhouse.Alarm{}, map[string]*greenhouse.Alarm{}
	var bad error
	tx.Scan(bucketAlarms, nil, false, func(k, v []byte) bool {
		a := new(greenhouse.Alarm)
		if err := json.Unmarshal(v, a); err != nil {
			bad = fmt.Errorf("decode alarm %q: %w", k, err)
			return false
		}
		a.Version = max(a.Version, 1) // written before alarms had one
		byAbout[about{a.Source, a.Code}], byID[a.ID] = a, a
		return true
	})
	if bad != nil {
		return bad
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.waiting {
		if a, ok := b.byID[w.id]; ok {
			byAbout[about{a.Source, a.Code}], byID[a.ID] = a, a
		}
	}
	b.byAbout, b.byID = byAbout, byID
	return nil
}

// Observe takes in what rooms see now. A condition that became active raises
// its alarm (again: the count rises and the acknowledgement is gone), one that is no
// longer active clears it; a change of severity is raised anew. Each change is
// stored together with its event, alarm_raised or alarm_cleared, in one
// transaction for all; where nothing changed nothing is written. On an error the
// alarms stand in memory all the same and are written with a later call.
func (j *Journal) Observe(conds ...greenhouse.Condition) error {
	b := &j.alarms
	b.writing.Lock()
	defer b.writing.Unlock()
	now := greenhouse.MillisOf(j.now())
	b.mu.Lock()
	for _, c := range conds {
		if t, changed := b.take(c, now); changed {
			b.wait(t)
		}
	}
	b.mu.Unlock()
	return j.flush()
}

// wait queues a transition for the disk. The caller holds mu.
func (b *alarmBook) wait(t transition) {
	b.waiting = append(b.waiting, t)
	if extra := len(b.waiting) - maxWaiting; extra > 0 {
		b.lost += extra
		b.waiting = slices.Clone(b.waiting[extra:])
	}
}

// take applies one condition to the alarms. The caller holds mu.
func (b *alarmBook) take(c greenhouse.Condition, now greenhouse.Millis) (transition, bool) {
	old, known := b.byAbout[about{c.Source, c.Code}]
	if !known {
		if !c.Active {
			return transition{}, false
		}
		a := &greenhouse.Alarm{ID: b.newID(c), Source: c.Source, Code: c.Code, Severity: c.Severity, State: greenhouse.AlarmRaised, Count: 1, FirstSeen: now, LastSeen: now, Text: c.Text}
		return b.put(a, "alarm_raised", ""), true
	}
	a := *old
	switch {
	case c.Active && a.State == greenhouse.AlarmCleared:
		a.State, a.Acked, a.AckedBy, a.ClearedAt = greenhouse.AlarmRaised, false, "", 0
		a.Count++
		a.Severity, a.Text, a.LastSeen = c.Severity, c.Text, now
		return b.put(&a, "alarm_raised", ""), true
	case c.Active && a.Severity != c.Severity:
		a.Acked, a.AckedBy = a.Acked && !louder(c.Severity, a.Severity), ""
		a.Severity, a.Text, a.LastSeen = c.Severity, c.Text, now
		return b.put(&a, "alarm_raised", ""), true
	case c.Active:
		a.Text, a.LastSeen = c.Text, now
		b.put(&a, "", "") // in memory only: texts carry values that change all the time
	case a.State == greenhouse.AlarmRaised:
		a.State, a.ClearedAt, a.LastSeen = greenhouse.AlarmCleared, now, now
		return b.put(&a, "alarm_cleared", ""), true
	}
	return transition{}, false
}

// louder reports whether severity a is above b.
func louder(a, b greenhouse.Severity) bool {
	order := []greenhouse.Severity{greenhouse.Info, greenhouse.Warning, greenhouse.Critical}
	return slices.Index(order, a) > slices.Index(order, b)
}

// put replaces an alarm in memory and returns the transition that goes to disk.
// The caller holds mu.
func (b *alarmBook) put(a *greenhouse.Alarm, code, actor string) transition {
	if code != "" {
		a.Version++
	}
	b.byAbout[about{a.Source, a.Code}], b.byID[a.ID] = a, a
	return transition{id: a.ID, event: greenhouse.Event{TS: a.LastSeen, Code: code, Source: a.Source, Actor: actor, Detail: alarmDetail(a)}}
}

// alarmDetail is what the event of a change says.
func alarmDetail(a *greenhouse.Alarm) json.RawMessage {
	detail, _ := json.Marshal(struct { // of plain strings and numbers: it cannot fail
		Alarm    string              `json:"alarm"`
		Code     string              `json:"code"`
		Severity greenhouse.Severity `json:"severity"`
		Count    int                 `json:"count"`
		Shelved  greenhouse.Millis   `json:"shelved_until,omitempty"`
		Text     string              `json:"text"`
	}{a.ID, a.Code, a.Severity, a.Count, a.ShelvedUntil, a.Text})
	return detail
}

// newID returns a short id made of source and code, longer in the rare case that
// another alarm has it. The caller holds mu.
func (b *alarmBook) newID(c greenhouse.Condition) string {
	sum := sha256.Sum256([]byte(string(c.Source) + "\x00" + c.Code))
	full := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
	n := 8
	for n < len(full) && b.byID[full[:n]] != nil {
		n++
	}
	return full[:n]
}

// flush writes what waits: every alarm as it is now, every transition as an
// event. The caller holds writing.
func (j *Journal) flush() error {
	b := &j.alarms
	b.mu.RLock()
	batch, lost := slices.Clone(b.waiting), b.lost
	alarms := map[string]greenhouse.Alarm{}
	for _, t := range batch {
		if a, ok := b.byID[t.id]; ok {
			alarms[t.id] = *a
		}
	}
	b.mu.RUnlock()
	if len(batch) == 0 {
		return nil
	}
	err := j.db.Update(func(tx Tx) error { return j.writeAlarms(tx, alarms, batch, lost) })
	if err != nil {
		return fmt.Errorf("store alarms: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting, b.lost = slices.Clone(b.waiting[len(batch):]), 0
	return nil
}

// writeAlarms stores alarms and the events of their changes.
func (j *Journal) writeAlarms(tx Tx, alarms map[string]greenhouse.Alarm, batch []transition, lost int) error {
	for id, a := range alarms {
		v, err := json.Marshal(a)
		if err != nil {
			return fmt.Errorf("encode alarm %s: %w", id, err)
		}
		if err := tx.Put(bucketAlarms, []byte(id), v); err != nil {
			return err
		}
	}
	if lost > 0 {
		detail := json.RawMessage(fmt.Sprintf(`{"lost":%d}`, lost))
		if _, err := j.Append(tx, greenhouse.Event{Code: "alarm_history_lost", Detail: detail}); err != nil {
			return err
		}
	}
	for _, t := range batch {
		if _, err := j.Append(tx, t.event); err != nil {
			return err
		}
	}
	return nil
}

// Alarms returns the open alarms, or all that are kept, the loudest and newest
// first. It never waits for the disk.
func (j *Journal) Alarms(all bool) []greenhouse.Alarm {
	b := &j.alarms
	b.mu.RLock()
	defer b.mu.RUnlock()
	list := []greenhouse.Alarm{}
	for _, a := range b.byID {
		if all || a.Open() {
			list = append(list, *a)
		}
	}
	slices.SortFunc(list, func(x, y greenhouse.Alarm) int {
		switch {
		case louder(x.Severity, y.Severity):
			return -1
		case louder(y.Severity, x.Severity):
			return 1
		}
		return cmp.Or(cmp.Compare(y.LastSeen, x.LastSeen), cmp.Compare(x.ID, y.ID))
	})
	return list
}

// Alarm returns one alarm.
func (j *Journal) Alarm(id string) (greenhouse.Alarm, error) {
	b := &j.alarms
	b.mu.RLock()
	defer b.mu.RUnlock()
	a, ok := b.byID[id]
	if !ok {
		return greenhouse.Alarm{}, greenhouse.NotFound("alarm", id).WithHint("`greenctl alarm list --all` shows the alarms there are")
	}
	return *a, nil
}

// pruneAlarms forgets alarms that are over and long past.
func (j *Journal) pruneAlarms(before greenhouse.Millis) error {
	b := &j.alarms
	b.writing.Lock()
	defer b.writing.Unlock()
	var gone []greenhouse.Alarm
	for _, a := range j.Alarms(true) {
		if !a.Open() && a.LastSeen < before {
			gone = append(gone, a)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	err := j.db.Update(func(tx Tx) error {
		for _, a := range gone {
			if err := tx.Delete(bucketAlarms, []byte(a.ID)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("prune alarms: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range gone {
		delete(b.byID, a.ID)
		delete(b.byAbout, about{a.Source, a.Code})
	}
	return nil
}
