package machine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	settingsFile = "/etc/subproxy.args"
	modulesFile  = "/etc/modules"
	broken       = 70 // the status that is printed when the machine itself has failed
	// clockMonotonic is a number of the kernel, which the package syscall does not name.
	clockMonotonic = 1
	path           = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

type mount struct{ source, target, kind string }

var (
	// mounts are what every program expects, as in a container.
	mounts = []mount{
		{"proc", "/proc", "proc"},
		{"sysfs", "/sys", "sysfs"},
		{"devtmpfs", "/dev", "devtmpfs"},
		{"devpts", "/dev/pts", "devpts"},
		{"tmpfs", "/dev/shm", "tmpfs"},
	}
	// scratch is where nothing of the image can be. A root of its own may have something there.
	scratch = []mount{
		{"tmpfs", "/tmp", "tmpfs"},
		{"tmpfs", "/run", "tmpfs"},
	}
)

var ends = map[string]int{
	"poweroff": syscall.LINUX_REBOOT_CMD_POWER_OFF,
	"reboot":   syscall.LINUX_REBOOT_CMD_RESTART,
	"halt":     syscall.LINUX_REBOOT_CMD_HALT,
}

// IsInit says whether this process is the init of a machine: process 1, called init. In a container
// process 1 has another name.
func IsInit() bool { return os.Getpid() == 1 && filepath.Base(os.Args[0]) == "init" }

// say prints one line on the console, with the seconds since the kernel started.
func say(text string) {
	var now syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&now)), 0)
	fmt.Printf("subproxy-init: [%.2f] %s\n", float64(now.Nano())/1e9, text)
}

// Run is the init of this machine. Start runs a command line of subproxy-guest, its program as
// somebody unless that is nil, and returns its status; then the machine goes off.
func Run(arguments []string, start func([]string, *syscall.Credential) int) {
	say("up")
	status, end := broken, "poweroff"
	defer func() {
		if failure := recover(); failure != nil {
			say(fmt.Sprintf("init failed: %v\n%s", failure, debug.Stack()))
		}
		endOthers()
		syscall.Sync()
		syscall.Reboot(ends[end])
		// Without a power switch (Firecracker has none) the kernel returns: halting is what is left.
		os.Exit(status)
	}()
	words, as, wanted, err := prepare(arguments)
	if ends[wanted] != 0 {
		end = wanted
	}
	if err != nil {
		say(err.Error() + ": " + end)
		return
	}
	go watchButtons()
	say("starting " + strings.Join(words, " "))
	status = start(words, as)
	say(fmt.Sprintf("the application ended with status %d: %s", status, end))
}

// prepare makes a machine in which programs run, and reads what is to be run, and as whom.
func prepare(arguments []string) (words []string, as *syscall.Credential, end string, err error) {
	if err := mountAll(mounts[:1]); err != nil {
		return nil, nil, "", err
	}
	built, err := parseSettings(lines(settingsFile))
	if err != nil {
		return nil, nil, "", err
	}
	kernel, _ := os.ReadFile("/proc/cmdline")
	own, _, _ := strings.Cut(string(kernel), " -- ")
	given, err := parseSettings(own)
	if err != nil {
		return nil, nil, "", err
	}
	all := merge(built, given)
	end = all.last("end", "poweroff")
	if _, is := ends[end]; !is {
		return nil, nil, "", fmt.Errorf("subproxy.end is poweroff, reboot or halt, not %q", end)
	}
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_CAD_OFF) // Ctrl-Alt-Del is a SIGINT from now on
	loadModules()
	if root := all.last("root", ""); root != "" {
		err = enter(root)
	} else {
		err = mountAll(append(slices.Clone(mounts[1:]), scratch...))
		os.Chmod("/tmp", 0o1777)
	}
	if err != nil {
		return nil, nil, end, err
	}
	os.Chmod("/dev/vsock", 0o666) // no udev does it: the program may not be root
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2",
	} {
		os.Symlink(target, "/dev/"+name)
	}
	for _, each := range append([]string{"PATH=" + path, "HOME=/root", "TERM=dumb"}, all["env"]...) {
		name, value, equals := strings.Cut(each, "=")
		if name == "" || !equals {
			return nil, nil, end, fmt.Errorf("subproxy.env is NAME=VALUE, not %q", each)
		}
		os.Setenv(name, value)
	}
	if err := loopbackUp(); err != nil {
		return nil, nil, end, fmt.Errorf("no loopback: %w", err)
	}
	syscall.Sethostname([]byte("localhost")) // so that it resolves
	// Whoever is not root may listen on port 80, as in a container.
	os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0o644)
	if err := os.Chdir(all.last("folder", "/")); err != nil {
		return nil, nil, end, fmt.Errorf("subproxy.folder: %w", err)
	}
	if as, err = all.credential(); err != nil {
		return nil, nil, end, err
	}
	if as != nil {
		// Programs open /dev/stderr anew, which is the console.
		for fd := range 3 {
			syscall.Fchown(fd, int(as.Uid), -1)
		}
	}
	words, err = all.command(arguments)
	return words, as, end, err
}

// enter makes a folder the root, as switch_root does: it is no jail, but all that there is.
func enter(root string) error {
	syscall.Unmount("/proc", 0)
	if err := syscall.Mount(root, root, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("no root in %s: %w", root, err)
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("can't make %s the root: %w", root, err)
	}
	if err := syscall.Chroot("."); err != nil {
		return fmt.Errorf("can't make %s the root: %w", root, err)
	}
	return mountAll(mounts)
}

func mountAll(wanted []mount) error {
	for _, each := range wanted {
		os.MkdirAll(each.target, 0o755)
		err := syscall.Mount(each.source, each.target, each.kind, 0, "")
		// The kernel may have mounted /dev; without ptys much runs all the same.
		if err != nil && err != syscall.EBUSY && each.kind != "devpts" {
			return fmt.Errorf("can't mount %s: %w", each.target, err)
		}
	}
	return nil
}

// loadModules loads the image's modules in their order; one that has no hardware here is passed
// over.
func loadModules() {
	for _, name := range strings.Fields(lines(modulesFile)) {
		file, err := os.Open("/lib/modules/" + name + ".ko")
		if err == nil {
			empty := [1]byte{}
			_, _, number := syscall.Syscall(sysFinitModule, file.Fd(), uintptr(unsafe.Pointer(&empty)), 0)
			file.Close()
			if number == 0 {
				continue
			}
			err = number
		}
		say(fmt.Sprintf("module %s not loaded: %v", name, err))
	}
}

// loopbackUp switches lo on: 127.0.0.1 then works, and no other network is there.
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		rest  [22]byte
	}
	copy(request.name[:], "lo")
	for _, call := range []uintptr{syscall.SIOCGIFFLAGS, syscall.SIOCSIFFLAGS} {
		_, _, number := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), call, uintptr(unsafe.Pointer(&request)))
		if number != 0 {
			return number
		}
		request.flags |= syscall.IFF_UP
	}
	return nil
}

// endOthers asks every process that is left to end, then makes it.
func endOthers() {
	for _, number := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if syscall.Kill(-1, number) != nil {
			return
		}
		for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err == syscall.ECHILD {
				return
			}
			if pid == 0 {
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
}

// An input event of the kernel: 16 bytes of time, then type, code and value.
const (
	eventSize = 24
	evKey     = 1
	keyPower  = 116
)

// watchButtons asks this process to end when the power button is pressed.
func watchButtons() {
	devices, _ := filepath.Glob("/dev/input/event*")
	for _, each := range devices {
		go func() {
			file, err := os.Open(each)
			if err != nil {
				return
			}
			defer file.Close()
			events := make([]byte, 64*eventSize)
			for {
				n, err := file.Read(events)
				if err != nil {
					return
				}
				if pressed(events[:n]) {
					say("the power button: asking the application to end")
					syscall.Kill(os.Getpid(), syscall.SIGTERM)
				}
			}
		}()
	}
}

// pressed says whether these input events tell that the power button went down.
func pressed(events []byte) bool {
	for ; len(events) >= eventSize; events = events[eventSize:] {
		kind := binary.NativeEndian.Uint16(events[16:])
		code := binary.NativeEndian.Uint16(events[18:])
		value := binary.NativeEndian.Uint32(events[20:])
		if kind == evKey && code == keyPower && value == 1 {
			return true
		}
	}
	return false
}

func lines(name string) string {
	data, _ := os.ReadFile(name)
	return string(bytes.ReplaceAll(data, []byte("\n"), []byte(" ")))
}
