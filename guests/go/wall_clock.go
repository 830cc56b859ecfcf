package guest

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hardwareClock tells whole seconds: the host's time, as at boot. Firecracker has none, and sets the
// wall clock itself.
const hardwareClock = "/sys/class/rtc/rtc0/since_epoch"

// correctClock sets the wall clock of a machine that goes on from a snapshot, which stands where it
// was, if it is off by over two seconds. Only root may. It returns whether it was set.
func correctClock(path string) bool {
	told, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(told)), 10, 64)
	if err != nil {
		return false
	}
	now := time.Unix(seconds, int64(time.Second/2))
	if time.Until(now).Abs() <= 2*time.Second {
		return false
	}
	value := syscall.NsecToTimeval(now.UnixNano())
	return syscall.Settimeofday(&value) == nil
}
