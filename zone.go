package greenhouse

import "cmp"

// Site is the one place a daemon looks after.
type Site struct {
	Name      string  `json:"name"`
	Latitude  float64 `json:"latitude"`  // degrees, north positive
	Longitude float64 `json:"longitude"` // degrees, east positive
	TimeZone  string  `json:"time_zone"` // IANA name, e.g. "Europe/Amsterdam"
	Meta
}

// Mode says who drives a zone. Safety runs in all of them.
type Mode string

// The modes of a zone.
const (
	ModeAuto        Mode = "auto"
	ModeManual      Mode = "manual"      // people drive; entering it stops the actuators
	ModeMaintenance Mode = "maintenance" // as manual, and alarms are held back
	ModeOff         Mode = "off"         // everything safe; entering it stops the actuators
)

// ParseMode returns the mode named s.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case ModeAuto, ModeManual, ModeMaintenance, ModeOff:
		return m, nil
	}
	return "", Invalid("mode_invalid", "mode %q is unknown: it is auto, manual, maintenance or off", s)
}

// Quantity is something a zone has a target for.
type Quantity string

// The quantities of the contract, and their units.
const (
	Heating      Quantity = "heating"          // °C: heat below this
	Venting      Quantity = "venting"          // °C: open vents above this
	HumidityMax  Quantity = "humidity_max"     // %
	TargetVPD    Quantity = "vpd"              // kPa
	TargetHD     Quantity = "humidity_deficit" // g/m³ that the air can still take up
	TargetCO2    Quantity = "co2"              // ppm
	DLI          Quantity = "dli"              // mol/m² a day
	TargetPH     Quantity = "ph"               //
	TargetEC     Quantity = "ec"               // mS/cm
	SoilMoisture Quantity = "soil_moisture"    // %
)

// QuantitySpec is the unit of a quantity and the range a target may take.
type QuantitySpec struct {
	Quantity Quantity
	Unit     Unit
	Min, Max float64
}

// Quantities returns all quantities, in the order of the contract.
func Quantities() []QuantitySpec {
	return []QuantitySpec{
		{Heating, "°C", 0, 45}, {Venting, "°C", 1, 50}, {HumidityMax, "%", 30, 100}, {TargetVPD, "kPa", 0.1, 4}, {TargetHD, "g/m³", 0.5, 20},
		{TargetCO2, "ppm", 350, 1600}, {DLI, "mol/m²/d", 0, 60}, {TargetPH, "", 4, 8}, {TargetEC, "mS/cm", 0, 6}, {SoilMoisture, "%", 0, 100},
	}
}

// ParseQuantity returns what is known of the quantity named s.
func ParseQuantity(s string) (QuantitySpec, error) {
	for _, q := range Quantities() {
		if string(q.Quantity) == s {
			return q, nil
		}
	}
	return QuantitySpec{}, Invalid("quantity_invalid", "quantity %q is unknown: it is heating, venting, humidity_max, vpd, humidity_deficit, co2, dli, ph, ec or soil_moisture", s)
}

// Target is a set-point by day and by night. Both are the same where people
// gave one value.
type Target struct {
	Day   float64 `json:"day"`
	Night float64 `json:"night"`
}

// Zone is a compartment with one climate.
type Zone struct {
	ID       ZoneID              `json:"id"`
	Name     string              `json:"name"`
	Crop     string              `json:"crop,omitempty"`
	AreaM2   float64             `json:"area_m2,omitempty"`
	Mode     Mode                `json:"mode"`
	Targets  map[Quantity]Target `json:"targets"`
	DayFrom  DayEdge             `json:"day_from"`  // default "sunrise"
	DayUntil DayEdge             `json:"day_until"` // default "sunset"

	// What stands above the targets, weakest first: curves, offsets, held values.
	// Only quantities that are Curved have them.
	Schedule map[Quantity]Curve      `json:"schedule,omitempty"`
	Offsets  map[Quantity]Adjustment `json:"offsets,omitempty"`
	Holds    map[Quantity]Adjustment `json:"holds,omitempty"`

	// Run is the recipe it grows by, between the targets and the curves; nil: none.
	Run *RecipeRun `json:"run,omitempty"`

	Control Control `json:"control"`

	NodeLimits map[NodeType]int `json:"node_limits,omitempty"` // most nodes of a type in it; a type that is not named: [DefaultNodeLimit]
	Meta
}

// DefaultNodeLimit returns how many nodes of a type a zone takes where it does not
// say otherwise, 0 for any number: two that dose would dose against each other.
func DefaultNodeLimit(t NodeType) int {
	if t == TypePH || t == TypeEC {
		return 1
	}
	return 0
}

// Control holds the parameters of a zone's control blocks. A nil or zero field
// takes the default named beside it, see [Control.Defaults]; docs/control.md
// explains each.
type Control struct {
	HeatOn      float64 `json:"heat_on_k,omitempty"`        // K below the set-point at which heat starts; 0.3
	HeatOff     float64 `json:"heat_off_k,omitempty"`       // K above the set-point at which heat stops; 0.2
	HeatKp      float64 `json:"heat_kp_per_k,omitempty"`    // heat per K of error, where power can be varied; 0.25
	HeatTiS     int     `json:"heat_ti_s,omitempty"`        // s over which a lasting error is made good; 900
	HeatCycleS  int     `json:"heat_cycle_s,omitempty"`     // s from one run of a switched heater to the next; 0: as it comes (sigma-delta)
	DeadZone    float64 `json:"dead_zone_k,omitempty"`      // K between heating and venting; 3, at least 1
	VentPBand   float64 `json:"vent_p_band_k,omitempty"`    // K over which vents go from 0 to 1; 4
	StageDelayS int     `json:"stage_delay_s,omitempty"`    // s between two heating or venting stages; 120
	FrostLimit  float64 `json:"frost_limit_c,omitempty"`    // °C below which heat is forced; 4
	HeatLimit   float64 `json:"heat_limit_c,omitempty"`     // °C above which vents are forced open; 35
	StaleAfterS int     `json:"stale_after_s,omitempty"`    // s after which a sensor is stale; three intervals, at least 90
	HoldS       int     `json:"hold_s,omitempty"`           // s for which a lost value is held; 300
	VentCap     float64 `json:"vent_cap,omitempty"`         // most vents open without a wind and rain sensor; 0.5
	RHPBand     float64 `json:"rh_p_band_pct,omitempty"`    // % RH over which humidity venting goes to its most; 8
	RHVentMax   float64 `json:"rh_vent_max,omitempty"`      // most vents open for humidity alone; 0.1
	ChangeoverS int     `json:"changeover_s,omitempty"`     // s between heating and venting; 300
	CO2Max      float64 `json:"co2_max_ppm,omitempty"`      // ppm above which the valve is shut; 1600
	CO2Gives    float64 `json:"co2_gives_g_m2_h,omitempty"` // g/m² an hour through the open valve; 0 is unknown
	CO2Most     float64 `json:"co2_most_g_m2_h,omitempty"`  // most g/m² dosed in any hour; 0: no limit. Needs co2_gives_g_m2_h
	ShadeWM2    float64 `json:"shade_w_m2,omitempty"`       // W/m² outside above which screens shade; 0: never
	LampPPFD    float64 `json:"lamp_ppfd,omitempty"`        // µmol/m²/s of the lamps at the crop; 0 is unknown
	WeatherZone ZoneID  `json:"weather_zone,omitempty"`     // zone whose outside_* points serve this one
	BackupZone  ZoneID  `json:"backup_zone,omitempty"`      // zone whose air_temp stands in where this one's is lost
	HeaterWM2   float64 `json:"heater_w_m2,omitempty"`      // installed heat, W/m²; 0 is unknown
}

// Defaults returns c with every field that is left at zero at its default, where
// it has one.
func (c Control) Defaults() Control {
	c.HeatOn, c.HeatOff = cmp.Or(c.HeatOn, 0.3), cmp.Or(c.HeatOff, 0.2)
	c.HeatKp, c.HeatTiS = cmp.Or(c.HeatKp, 0.25), cmp.Or(c.HeatTiS, 900)
	c.DeadZone, c.VentPBand = cmp.Or(c.DeadZone, 3), cmp.Or(c.VentPBand, 4)
	c.StageDelayS, c.ChangeoverS = cmp.Or(c.StageDelayS, 120), cmp.Or(c.ChangeoverS, 300)
	c.FrostLimit, c.HeatLimit = cmp.Or(c.FrostLimit, 4), cmp.Or(c.HeatLimit, 35)
	c.HoldS, c.VentCap = cmp.Or(c.HoldS, 300), cmp.Or(c.VentCap, 0.5)
	c.RHPBand, c.RHVentMax = cmp.Or(c.RHPBand, 8), cmp.Or(c.RHVentMax, 0.1)
	c.CO2Max = cmp.Or(c.CO2Max, 1600)
	return c
}

// Point is what is measured or driven at a place. It outlives the hardware
// behind it.
type Point struct {
	ID      PointID     `json:"id"`
	Zone    ZoneID      `json:"zone,omitempty"`
	Name    ChannelName `json:"name"`
	Kind    Kind        `json:"kind"`
	Unit    Unit        `json:"unit"`
	Node    UID         `json:"node,omitempty"`    // the node bound now, "" for none
	Channel ChannelName `json:"channel,omitempty"` // its channel
	Class   Class       `json:"class,omitempty"`   // actuators
	Safe    float64     `json:"safe"`              // actuators
	Min     *float64    `json:"min,omitempty"`     // sensors: plausible range
	Max     *float64    `json:"max,omitempty"`

	Calibration *CalPolicy `json:"calibration,omitempty"` // sensors: what it asks for; nil: as its name does
	Meta
}

// Override is a level that a person set by hand, for a time.
type Override struct {
	Point     PointID `json:"point"`
	Value     float64 `json:"value"`
	Reason    string  `json:"reason"`
	By        string  `json:"by"`
	CreatedAt Millis  `json:"created_at"`
	ExpiresAt Millis  `json:"expires_at"`
}
