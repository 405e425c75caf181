package greenhouse

import "time"

// Class is a kind of equipment. What protects the equipment (shortest times on
// and off, starts an hour, longest run) belongs to the class and lies below
// every recipe, API call and manual override.
type Class string

// The actuator classes.
const (
	ClassHeaterSSR       Class = "heater_ssr"
	ClassHeaterContactor Class = "heater_contactor"
	ClassBurner          Class = "burner"
	ClassHeaterMaster    Class = "heater_master"
	ClassVent            Class = "vent_motor"
	ClassValve           Class = "valve_3pt" // mixing valve of hot water
	ClassFan             Class = "fan"
	ClassLampHPS         Class = "lamp_hps"
	ClassLampLED         Class = "lamp_led"
	ClassIrrigationPump  Class = "pump_irrig"
	ClassDosingPump      Class = "pump_dose"
	ClassCirculation     Class = "pump_circ"
	ClassCO2Valve        Class = "co2_valve"
	ClassFogger          Class = "fogger"
	ClassScreen          Class = "screen"
)

// ClassSpec is the protection of one class of equipment. A zero limit means
// there is none.
type ClassSpec struct {
	Class         Class
	MinOn         time.Duration // shortest time on; a safety OFF never waits for it
	MinOff        time.Duration // shortest time off
	StartsPerHour int           // most starts (or moves) in any hour
	MaxRun        time.Duration // longest time on without a pause
	MaxOnHour     time.Duration // most time on within any 60 minutes
	MaxOnDay      time.Duration // most time on within any 24 hours
	MinStep       float64       // modulating: smallest change of level worth a move
	MinInterval   time.Duration // modulating: shortest time between two moves
	Lease         time.Duration // how long a level stands on the node without renewal
	Safe          float64       // level when nothing is known: at lease end, at boot, without a live reason
	Hazardous     bool          // needs an off of its own on the device (heater, dosing, irrigation, CO₂)
	Modulating    bool          // takes any level from 0 to 1; else 0 or 1
	OneShot       bool          // bounded doses only, never held at a level
}

// Spec returns the protection of class c (docs/control.md, section "Actuator
// classes"); an unknown class is treated as a contactor, the most careful of
// the plain switches.
func (c Class) Spec() ClassSpec {
	const s, m, h = time.Second, time.Minute, time.Hour
	switch c {
	case ClassHeaterSSR:
		return ClassSpec{Class: c, MinOn: s, MinOff: s, MaxRun: 12 * h, Lease: 60 * s, Hazardous: true}
	case ClassBurner:
		return ClassSpec{Class: c, MinOn: 180 * s, MinOff: 180 * s, StartsPerHour: 6, MaxRun: 12 * h, Lease: 60 * s, Hazardous: true}
	case ClassHeaterMaster: // stands before all heaters of a zone: it may stay on, for they have their own limits
		return ClassSpec{Class: c, MinOff: m, StartsPerHour: 6, Lease: 60 * s, Hazardous: true}
	case ClassVent:
		return ClassSpec{Class: c, StartsPerHour: 30, MinStep: 0.05, MinInterval: m, Lease: 120 * s, Modulating: true}
	case ClassValve: // what it lets in is heat, so its lease is a heater's
		return ClassSpec{Class: c, StartsPerHour: 30, MinStep: 0.05, MinInterval: m, Lease: 60 * s, Modulating: true}
	case ClassFan:
		return ClassSpec{Class: c, MinOn: 120 * s, MinOff: 120 * s, StartsPerHour: 10, Lease: 120 * s}
	case ClassLampHPS:
		return ClassSpec{Class: c, MinOn: 900 * s, MinOff: 1200 * s, StartsPerHour: 2, MaxRun: 20 * h, MaxOnDay: 20 * h, Lease: 120 * s}
	case ClassLampLED:
		return ClassSpec{Class: c, MinOn: m, MinOff: m, MaxRun: 20 * h, MaxOnDay: 20 * h, Lease: 120 * s}
	case ClassIrrigationPump:
		return ClassSpec{Class: c, MinOn: 5 * s, MinOff: 10 * s, StartsPerHour: 30, MaxRun: 15 * m, MaxOnDay: 4 * h, Lease: 60 * s, Hazardous: true}
	case ClassDosingPump:
		return ClassSpec{Class: c, StartsPerHour: 20, MaxRun: 30 * s, MaxOnHour: 10 * m, MaxOnDay: h, Lease: 30 * s, Hazardous: true, OneShot: true}
	case ClassCirculation:
		return ClassSpec{Class: c, MinOn: m, MinOff: m, StartsPerHour: 6, Lease: 120 * s, Safe: 1}
	case ClassCO2Valve:
		return ClassSpec{Class: c, MinOn: 10 * s, MinOff: 10 * s, StartsPerHour: 60, MaxRun: 30 * m, MaxOnDay: 12 * h, Lease: 60 * s, Hazardous: true}
	case ClassFogger:
		return ClassSpec{Class: c, MinOn: 10 * s, MinOff: 60 * s, StartsPerHour: 30, MaxRun: 10 * m, MaxOnHour: 30 * m, MaxOnDay: 8 * h, Lease: 60 * s}
	case ClassScreen:
		return ClassSpec{Class: c, StartsPerHour: 20, MinStep: 0.03, MinInterval: 180 * s, Lease: 120 * s, Modulating: true}
	}
	return ClassSpec{Class: ClassHeaterContactor, MinOn: m, MinOff: m, StartsPerHour: 20, MaxRun: 12 * h, Lease: 60 * s, Hazardous: true}
}

// ParseClass returns the class named s.
func ParseClass(s string) (Class, error) {
	if c := Class(s); c == ClassHeaterContactor || c.Spec().Class == c {
		return c, nil
	}
	return "", Invalid("class_invalid", "actuator class %q is unknown: see docs/control.md for the list", s)
}
