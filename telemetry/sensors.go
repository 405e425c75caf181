package telemetry

import (
	"encoding/binary"
	"math"

	"greenhouse"
)

// What is remembered of sensors follows from the readings that were stored; a
// checkpoint keeps it because the log before it is cut. Of most sensors it
// follows from the latest reading alone, and nothing is written.

// The forms of a sensor's state in a checkpoint.
const (
	sensorStands = 1 // as after the latest reading, but its value has stood for longer
	sensorWhole  = 2
)

// usual returns what is remembered of a sensor that has sent nothing but good
// readings, the latest a new value.
func (s *series) usual() greenhouse.SensorState {
	if s.latest.at == 0 || s.latest.q != greenhouse.Good {
		return greenhouse.SensorState{}
	}
	at := greenhouse.Millis(s.latest.at)
	return greenhouse.SensorState{At: at, Last: s.latest.v, LastAt: at, Level: s.latest.v, LevelSince: at}
}

// appendSensors appends the states that do not follow from the latest reading.
func appendSensors(b []byte, st *state) []byte {
	var list []byte
	n := 0
	for _, s := range st.series[1:] {
		if s == nil || s.sensor == s.usual() {
			continue
		}
		n++
		list = binary.AppendUvarint(list, uint64(s.id))
		usual := s.usual()
		if usual.LevelSince = s.sensor.LevelSince; s.sensor == usual {
			list = binary.AppendVarint(append(list, sensorStands), int64(s.sensor.At-s.sensor.LevelSince))
			continue
		}
		list = appendSensor(append(list, sensorWhole), &s.sensor)
	}
	return append(binary.AppendUvarint(b, uint64(n)), list...)
}

func appendSensor(b []byte, s *greenhouse.SensorState) []byte {
	bad := byte(0)
	if s.Bad {
		bad = 1
	}
	b = append(b, bad, s.Jumped, s.Failures, s.Passed)
	for _, t := range [...]greenhouse.Millis{s.At, s.LastAt, s.LevelSince, s.JumpSince, s.PassedSince} {
		b = binary.AppendVarint(b, int64(t))
	}
	for _, v := range [...]float64{s.Last, s.Level, s.Jump} {
		b = appendFloat(b, v)
	}
	return b
}

// sensors reads the states of a checkpoint; one of an earlier version has none.
func (d *decoder) sensors(st *state) {
	for _, s := range st.series[1:] {
		if s != nil {
			s.sensor = s.usual()
		}
	}
	if len(d.b) == 0 {
		return
	}
	for range d.count(3) {
		id, form := d.uvarint(), d.byte()
		var s *series
		if id < uint64(len(st.series)) {
			s = st.series[id]
		}
		if s == nil {
			d.fail()
			return
		}
		switch form {
		case sensorStands:
			s.sensor.LevelSince = s.sensor.At - greenhouse.Millis(d.varint())
		case sensorWhole:
			d.sensor(&s.sensor)
		default:
			d.fail()
		}
	}
}

func (d *decoder) sensor(s *greenhouse.SensorState) {
	s.Bad, s.Jumped, s.Failures, s.Passed = d.byte() == 1, d.byte(), d.byte(), d.byte()
	for _, t := range [...]*greenhouse.Millis{&s.At, &s.LastAt, &s.LevelSince, &s.JumpSince, &s.PassedSince} {
		*t = greenhouse.Millis(d.varint())
	}
	for _, v := range [...]*float64{&s.Last, &s.Level, &s.Jump} {
		if *v = d.float(); math.IsNaN(*v) {
			d.fail()
		}
	}
}
