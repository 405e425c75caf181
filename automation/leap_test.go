package automation_test

import (
	"testing"
	"time"

	"greenhouse"
)

// TestThermometerThatLeapsIsOut checks that of two thermometers the one that leaps
// while the other stays is not believed, also when the other is lost then, and that
// it is heard again when they agree. What drifts apart slowly counts on both ends.
func TestThermometerThatLeapsIsOut(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "outside_temp", "heater", "vent")
	h.target(greenhouse.Heating, 15, 15)
	h.target(greenhouse.Venting, 20, 20)
	h.set("outside_temp", 3)
	h.set("air_temp", 15)
	h.set("air_temp.2", 15.4)
	h.run(5*time.Minute, nil)

	h.set("air_temp", 59) // degrees Fahrenheit
	h.run(20*time.Minute, func() { h.expect("vent", 0) })
	if got := h.last.Climate.Air; got != 15.4 {
		t.Errorf("air %v, want that of the other", got)
	}
	if !h.raised["point/north/air_temp sensor_implausible"].Active || h.raised["point/north/air_temp.2 sensor_implausible"].Active {
		t.Errorf("alarms %+v", h.raised)
	}
	h.silent["air_temp.2"] = true
	h.run(20*time.Minute, func() { h.expect("vent", 0) })
	if !h.alarm("climate_blind") {
		t.Error("the one that leapt is believed now that the other is lost")
	}
	h.silent["air_temp.2"] = false
	h.set("air_temp", 15.1)
	h.run(5*time.Minute, nil)
	if got := h.last.Climate.Air; got != 15.25 {
		t.Errorf("air %v, want the mean of both again", got)
	}

	apart := 0.0
	h.run(3*time.Hour, func() {
		apart += 20.0 / 3 * 5 / 3600
		h.set("air_temp", 15.1+apart)
	})
	if !h.alarm("sensors_disagree") {
		t.Error("the one that drifted is not heard: both ends count")
	}
}

// TestLeapOfBothIsWeather: where both thermometers leap, or the pair never agreed,
// nobody is doubted.
func TestLeapOfBothIsWeather(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "air_temp.2", "heater", "vent")
	h.target(greenhouse.Heating, 15, 15)
	h.set("air_temp", 15)
	h.set("air_temp.2", 40)
	h.run(5*time.Minute, nil)
	if !h.alarm("sensors_disagree") {
		t.Error("they never agreed: nobody knows which one leapt")
	}
	h.set("air_temp.2", 15)
	h.run(5*time.Minute, nil)
	h.set("air_temp", 40)
	h.set("air_temp.2", 41)
	h.run(5*time.Minute, nil)
	if got := h.last.Climate.Air; got != 40.5 {
		t.Errorf("air %v, want the mean of both", got)
	}
}
