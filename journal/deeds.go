package journal

import (
	"encoding/json"
	"fmt"

	"greenhouse"
)

// Deed is what a person does to an alarm: who, from where and why, for the
// event, and what else is to be in the same transaction.
type Deed struct {
	By     string
	From   string // "" is left out
	Reason string // "" is left out
	// IfVersion is the version of the alarm that the person saw; another one is a
	// *greenhouse.StaleError. 0 checks nothing.
	IfVersion uint64
	// Done is asked first; true says that this was done before and nothing is to
	// be done now. Nil is no.
	Done func(Tx) (bool, error)
	// Keep is called with the alarm as it is afterwards. Nil is nothing.
	Keep func(Tx, greenhouse.Alarm) error
}

// Ack notes that by has taken notice of an alarm, in the journal too. Doing it
// again changes nothing.
func (j *Journal) Ack(id, by string) (greenhouse.Alarm, error) {
	return j.AckAs(id, Deed{By: by})
}

// AckAs is [Journal.Ack] with all there is to say of who does it.
func (j *Journal) AckAs(id string, d Deed) (greenhouse.Alarm, error) {
	return j.change(id, "alarm_acked", d, func(a *greenhouse.Alarm) bool {
		if a.Acked {
			return false
		}
		a.Acked, a.AckedBy = true, d.By
		return true
	})
}

// Shelve keeps an alarm quiet until an instant, 0 to end that. The alarm goes on
// being raised and cleared meanwhile.
func (j *Journal) Shelve(id string, until greenhouse.Millis, by string) (greenhouse.Alarm, error) {
	return j.ShelveAs(id, until, Deed{By: by})
}

// ShelveAs is [Journal.Shelve] with all there is to say of who does it.
func (j *Journal) ShelveAs(id string, until greenhouse.Millis, d Deed) (greenhouse.Alarm, error) {
	if until != 0 && until <= greenhouse.MillisOf(j.now()) {
		return greenhouse.Alarm{}, greenhouse.Invalid("shelve_invalid", "alarm %s cannot be shelved until a time that has passed", id)
	}
	code := "alarm_shelved"
	if until == 0 {
		code = "alarm_unshelved"
	}
	return j.change(id, code, d, func(a *greenhouse.Alarm) bool {
		if a.ShelvedUntil == until {
			return false
		}
		a.ShelvedUntil = until
		return true
	})
}

// change applies what a person did to an alarm: on disk first, then in memory.
func (j *Journal) change(id, code string, d Deed, fn func(*greenhouse.Alarm) bool) (greenhouse.Alarm, error) {
	b := &j.alarms
	b.writing.Lock()
	defer b.writing.Unlock()
	a, err := j.Alarm(id)
	if err != nil {
		return a, err
	}
	before := a
	changed := fn(&a)
	if !changed && d.Done == nil && d.Keep == nil && d.IfVersion == 0 {
		return a, nil
	}
	done := false
	if changed {
		a.Version++
	}
	err = j.db.Update(func(tx Tx) error {
		done, err = d.done(tx)
		if done || err != nil {
			return err
		}
		if d.IfVersion != 0 && d.IfVersion != before.Version {
			return &greenhouse.StaleError{Noun: "alarm", ID: id, Had: d.IfVersion, Have: before.Version, Current: before}
		}
		if changed {
			event := greenhouse.Event{Code: code, Source: a.Source, Actor: d.By, Detail: d.detail(&before, &a)}
			if err := j.writeAlarms(tx, map[string]greenhouse.Alarm{id: a}, []transition{{id: id, event: event}}, 0); err != nil {
				return err
			}
		}
		if d.Keep == nil {
			return nil
		}
		return d.Keep(tx, a)
	})
	switch {
	case err != nil:
		return greenhouse.Alarm{}, fmt.Errorf("store alarm: %w", err)
	case done:
		return before, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	stored := a
	b.byAbout[about{a.Source, a.Code}], b.byID[id] = &stored, &stored
	return a, nil
}

func (d *Deed) done(tx Tx) (bool, error) {
	if d.Done == nil {
		return false, nil
	}
	return d.Done(tx)
}

// mark is what a person can change of an alarm.
type mark struct {
	Acked   bool              `json:"acked"`
	AckedBy string            `json:"acked_by,omitempty"`
	Shelved greenhouse.Millis `json:"shelved_until,omitempty"`
}

func markOf(a *greenhouse.Alarm) mark { return mark{a.Acked, a.AckedBy, a.ShelvedUntil} }

// detail is what the event of a deed says: the alarm as in its other events,
// who did it from where and why, and what changed.
func (d *Deed) detail(before, after *greenhouse.Alarm) json.RawMessage {
	detail, _ := json.Marshal(struct { // of plain strings and numbers: it cannot fail
		From     string              `json:"from,omitempty"`
		Reason   string              `json:"reason,omitempty"`
		Alarm    string              `json:"alarm"`
		Code     string              `json:"code"`
		Severity greenhouse.Severity `json:"severity"`
		Count    int                 `json:"count"`
		Text     string              `json:"text"`
		Before   mark                `json:"before"`
		After    mark                `json:"after"`
	}{d.From, d.Reason, after.ID, after.Code, after.Severity, after.Count, after.Text, markOf(before), markOf(after)})
	return detail
}
