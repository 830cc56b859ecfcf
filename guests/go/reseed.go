package guest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"syscall"
)

// reseedNow is RNDRESEEDCRNG of include/uapi/linux/random.h: what was mixed in counts at once, not
// within a minute. For root alone.
const reseedNow = 0x5207

// reseed mixes salt into the kernel's random numbers: copies of a machine have the same ones where
// the kernel has no driver of the VM generation ID, and what the proxy says of each differs.
func reseed(salt string) {
	device, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer device.Close()
	if _, err := device.WriteString(salt); err != nil {
		return
	}
	syscall.Syscall(syscall.SYS_IOCTL, device.Fd(), reseedNow, 0)
}

// newInstance is a random id, which differs from those of copies of this machine with another salt.
func newInstance(salt string) string {
	data := make([]byte, 32, 32+len(salt))
	rand.Read(data)
	sum := sha256.Sum256(append(data, salt...))
	return hex.EncodeToString(sum[:16])
}
