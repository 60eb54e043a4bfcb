"""The system calls a confined process may make: an allow-list as a seccomp BPF program.

In: whether files may be written at all. Out: packed BPF instructions. What is not listed fails with
EPERM; that covers every process creation (fork, vfork, clone without CLONE_THREAD, exec), signals
to anyone, sockets, mounts, namespaces, ptrace, keys, io_uring, change of owner, mode or extended
attributes, and calls that do not exist yet. Calls of another architecture's table kill.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cache
from typing import Final

from . import syscalls

# Name, number on x86_64, number on aarch64.
_TABLE: Final = """
read 0 63; write 1 64; readv 19 65; writev 20 66; pread64 17 67; pwrite64 18 68; close 3 57;
close_range 436 436; fstat 5 80; newfstatat 262 79; stat 4 -; lstat 6 -; statx 332 291; lseek 8
62; mmap 9 222; mprotect 10 226; munmap 11 215; brk 12 214; mremap 25 216; madvise 28 233; msync
26 227; rt_sigaction 13 134; rt_sigprocmask 14 135; rt_sigreturn 15 139; rt_sigpending 127 136;
rt_sigtimedwait 128 137; rt_sigsuspend 130 133; sigaltstack 131 132; pause 34 -; access 21 -;
faccessat 269 48; faccessat2 439 439; pipe 22 -; pipe2 293 59; dup 32 23; dup2 33 -; dup3 292
24; poll 7 -; ppoll 271 73; select 23 -; pselect6 270 72; epoll_create 213 -; epoll_create1 291
20; epoll_ctl 233 21; epoll_wait 232 -; epoll_pwait 281 22; epoll_pwait2 441 441; nanosleep 35
101; clock_nanosleep 230 115; clock_gettime 228 113; clock_getres 229 114; gettimeofday 96 169;
time 201 -; times 100 153; getpid 39 172; gettid 186 178; getppid 110 173; getuid 102 174;
geteuid 107 175; getgid 104 176; getegid 108 177; getresuid 118 148; getresgid 120 150;
getgroups 115 158; getpgid 121 155; getpgrp 111 -; getsid 124 156; getpriority 140 141; uname 63
160; getcwd 79 17; chdir 80 49; fchdir 81 50; getdents64 217 61; readlink 89 -; readlinkat 267
78; ftruncate 77 46; fsync 74 82; fdatasync 75 83; umask 95 166; getrlimit 97 163; getrusage 98
165; sysinfo 99 179; futex 202 98; futex_waitv 449 449; sched_yield 24 124; sched_getaffinity
204 123; sched_getparam 143 121; sched_getscheduler 145 120; sched_get_priority_max 146 125;
sched_get_priority_min 147 126; set_robust_list 273 99; get_robust_list 274 100; rseq 334 293;
set_tid_address 218 96; exit 60 93; exit_group 231 94; getrandom 318 278; eventfd 284 -;
eventfd2 290 19; timerfd_create 283 85; timerfd_settime 286 86; timerfd_gettime 287 87;
setitimer 38 103; getitimer 36 102; alarm 37 -; restart_syscall 219 128; arch_prctl 158 -;
membarrier 324 283; getcpu 309 168; wait4 61 260; waitid 247 95; sendto 44 206; recvfrom 45 207;
shutdown 48 210; getsockname 51 204; getpeername 52 205; getsockopt 55 209; setsockopt 54 208;
sendfile 40 71; copy_file_range 326 285; statfs 137 43; fstatfs 138 44; fadvise64 221 223;
capget 125 90; mkdir 83 -; mkdirat 258 34; rmdir 84 -; unlink 87 -; unlinkat 263 35; rename 82
-; renameat 264 38; renameat2 316 276; open 2 -; openat 257 56; clone 56 220; clone3 435 435;
openat2 437 437; prctl 157 167; prlimit64 302 261; setrlimit 160 164; socketpair 53 199; ioctl
16 29; fcntl 72 25; getxattr 191 8; lgetxattr 192 9; fgetxattr 193 10; listxattr 194 11;
llistxattr 195 12; flistxattr 196 13; setxattr 188 5; lsetxattr 189 6; fsetxattr 190 7
"""
_COLUMN: Final = 2 if syscalls.ARCH == "aarch64" else 1
NUMBERS: Final = {
    row.split()[0]: int(row.split()[_COLUMN])
    for row in _TABLE.replace("\n", " ").split(";")
    if row.split()[_COLUMN] != "-"
}

_EPERM, _ENOSYS, _ENOTSUP = 1, 38, 95
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_AUDIT_ARCH: Final = 0xC00000B7 if syscalls.ARCH == "aarch64" else 0xC000003E
_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _JUMP, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x05, 0x06
_REFUSE: Final = _ERRNO | _EPERM

# glibc falls back to the older call when these say "no such call".
_ABSENT: Final = ("clone3", "openat2")
_NO_ATTRIBUTES: Final = [
    "getxattr",
    "lgetxattr",
    "fgetxattr",
    "listxattr",
    "llistxattr",
    "flistxattr",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
]
_CHANGES_FILES: Final = [
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "copy_file_range",
    "ftruncate",
]
_WRITE_FLAGS: Final = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000  # O_WRONLY RDWR CREAT TRUNC TMPFILE
_NEW_NAMESPACES: Final = 0x7E020000
_CLONE_THREAD: Final = 0x10000

Instruction = tuple[int, int, int, int]


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, 16 + 8 * index)


def _give(action: int) -> list[Instruction]:
    return [(_RETURN, 0, 0, action)]


def _one_of(index: int, values: Sequence[int]) -> list[Instruction]:
    """Allow when the argument's low word is one of the values."""
    body = [_argument(index)]
    for value in values:
        body += [(_EQUAL, 0, 1, value), *_give(_ALLOW)]
    return [*body, *_give(_REFUSE)]


def _unless(index: int, bits: int) -> list[Instruction]:
    """Allow when the argument has none of the bits."""
    return [_argument(index), (_ANY_BIT, 0, 1, bits), *_give(_REFUSE), *_give(_ALLOW)]


def _rules(writable: bool) -> dict[str, list[Instruction]]:
    """What to do for each listed call; each body returns."""
    rules = {name: _give(_ALLOW) for name in NUMBERS}
    rules |= {name: _give(_ERRNO | _ENOSYS) for name in _ABSENT}
    rules |= {name: _give(_ERRNO | _ENOTSUP) for name in _NO_ATTRIBUTES}
    if not writable:
        rules |= {name: _give(_REFUSE) for name in _CHANGES_FILES}
        rules |= {"open": _unless(1, _WRITE_FLAGS), "openat": _unless(2, _WRITE_FLAGS)}
    rules["clone"] = [
        _argument(0),
        (_ANY_BIT, 0, 1, _NEW_NAMESPACES),
        *_give(_REFUSE),
        (_ANY_BIT, 0, 1, _CLONE_THREAD),
        *_give(_ALLOW),
        *_give(_REFUSE),
    ]
    rules["prctl"] = _one_of(0, (3, 15, 16))  # get dumpable, set and get name
    rules["prlimit64"] = _one_of(0, (0,))  # its own limits
    rules["socketpair"] = _one_of(0, (1,))  # AF_UNIX: asyncio's wake-up pair
    # Terminal or not, window size, bytes waiting, non-blocking, close-on-exec.
    rules["ioctl"] = _one_of(1, (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451))
    rules["fcntl"] = _one_of(1, (0, 1, 2, 3, 4, 1030, 1032))  # no owner, locks, pipe size
    return rules


def _search(spans: Sequence[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """Find the span of the loaded number by halving: a short path makes a filter cheap to set."""
    if len(spans) == 1:
        return spans[0][1]
    half = len(spans) // 2
    below, above = _search(spans[:half]), _search(spans[half:])
    return [(_AT_LEAST, 0, 1, spans[half][0]), (_JUMP, 0, 0, len(below)), *below, *above]


@cache
def program(writable: bool) -> bytes:
    """The filter.

    Args:
        writable: False refuses to open files for writing and to change folders at all, for tiers
            that have no private file system of bounded size.
    """
    by_number = {NUMBERS[n]: body for n, body in _rules(writable).items() if n in NUMBERS}
    spans: list[tuple[int, list[Instruction]]] = [(0, _give(_REFUSE))]
    for number in range(max(by_number) + 2):
        body = by_number.get(number, _give(_REFUSE))
        if body != spans[-1][1]:
            spans.append((number, body))
    code: list[Instruction] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _AUDIT_ARCH),
        *_give(_KILL),
        (_LOAD, 0, 0, 0),
        *_search(spans),  # x32's numbers lie above all spans and are refused with the last
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)
