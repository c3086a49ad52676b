"""Check that no two modules import each other, directly or in a circle, imports for type checking included.

python .ci/check_circles.py
"""

from __future__ import annotations

import sys

import grimp

PACKAGES = ("tracelet_hookspecs", "tracelet", "tracelet_builtin_plugins")


def find_circles(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return the strongly connected components of more than one module (Tarjan's algorithm, without recursion)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []
    for root in sorted(graph.modules):
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        work = [(root, iter(sorted(graph.find_modules_directly_imported_by(root))))]
        while work:
            module, imported = work[-1]
            for other in imported:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    work.append((other, iter(sorted(graph.find_modules_directly_imported_by(other)))))
                    break
                if other in stack:
                    low[module] = min(low[module], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[module])
                if low[module] == index[module]:
                    at = stack.index(module)
                    circle, stack[at:] = stack[at:], []
                    if len(circle) > 1:
                        circles.append(sorted(circle))
    return circles


def main() -> int:
    """Print each circle with its imports. The exit status is 1 if there is one."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    circles = find_circles(graph)
    for circle in circles:
        print(f"circle of {len(circle)} modules:")
        for module in circle:
            print(
                f"  {module} -> {', '.join(sorted(graph.find_modules_directly_imported_by(module) & set(circle)))}"
            )
    print(f"{len(graph.modules)} modules, {len(circles)} circles")
    return 1 if circles else 0


if __name__ == "__main__":
    sys.exit(main())
