package edge

import (
	"crypto/rand"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MachineClock is what a machine knows of its own clock. A single-board computer
// boots without knowing the time unless a hardware clock kept it; any other
// machine, or its host, keeps time while it is off.
type MachineClock struct {
	Synced   bool                     // the kernel says so: something disciplines it
	SetAt    time.Time                // when systemd-timesyncd last set it in this boot; zero: never
	Board    bool                     // a single-board computer
	Hardware func() (time.Time, bool) // reads the hardware clock, which may take its time; nil: none is there
}

// timesyncMark is what systemd-timesyncd touches whenever it has set the clock. It
// goes with the boot.
const timesyncMark = "/run/systemd/timesync/synchronized"

// hardwareClock is where the kernel tells what the hardware clock says, in seconds
// since 1970. That a Raspberry Pi 5 has one does not say that it has a battery.
const hardwareClock = "/sys/class/rtc/rtc0/since_epoch"

// readMachine asks the machine that this runs on.
func readMachine() MachineClock {
	m := MachineClock{Hardware: readHardware}
	if _, err := os.Stat("/proc/device-tree/model"); err == nil {
		m.Board = true
	}
	var tx unix.Timex
	if state, err := unix.Adjtimex(&tx); err == nil && state != unix.TIME_ERROR && tx.Status&unix.STA_UNSYNC == 0 {
		m.Synced = true
	}
	if st, err := os.Stat(timesyncMark); err == nil {
		m.SetAt = st.ModTime()
	}
	return m
}

func readHardware() (time.Time, bool) {
	raw, err := os.ReadFile(hardwareClock)
	if err != nil {
		return time.Time{}, false
	}
	s, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(s, 0), true
}

// uptime returns what tells how long this boot of the machine lasts, which no
// step of the wall clock changes. Where the machine does not say, the boot
// begins now and ends with the process.
func uptime() func() (boot string, since time.Duration) {
	boot, before, began := rand.Text(), time.Duration(0), time.Now() // not Options.Now: that may be set, this may not
	var t unix.Timespec
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil && unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) == nil {
		boot, before = strings.TrimSpace(string(id)), time.Duration(t.Nano())
	}
	return func() (string, time.Duration) { return boot, before + time.Since(began) }
}
