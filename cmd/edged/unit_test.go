package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestUnitLeavesLittleToAnIntruder holds the unit against systemd's own judgement,
// where there is one, and against what must not go from it.
func TestUnitLeavesLittleToAnIntruder(t *testing.T) {
	const unit = "../../packaging/edged.service"
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"User=edged", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes", "UMask=0077",
		"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "SystemCallFilter=@system-service", "SystemCallFilter=adjtimex clock_adjtime", "SystemCallErrorNumber=EPERM", "MemoryMax=1G", "TasksMax=512", "Restart=always", "MemoryDenyWriteExecute=yes"} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("%s is not in the unit", line)
		}
	}
	if strings.Contains(string(text), "time-sync.target\n") {
		t.Error("without a network the daemon would wait for the time and control nothing")
	}
	if strings.Contains(string(text), "\nProtectClock=yes") {
		t.Error("ProtectClock forbids the daemon to ask the kernel whether the clock is synchronised")
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=yes", unit).CombinedOutput()
	if err != nil {
		t.Skipf("systemd-analyze: %v", err)
	}
	found := regexp.MustCompile(`exposure level for edged.service: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("no judgement in %s", out)
	}
	if level, err := strconv.ParseFloat(string(found[1]), 64); err != nil || level > 2 {
		t.Errorf("systemd-analyze puts the exposure at %s, want at most 2.0:\n%s", found[1], out)
	}
}
